-- The tenant context: signed by the server, bound to one statement, verified here with a key that the login cannot read.

CREATE SCHEMA tenancy AUTHORIZATION tenancy_owner;

SET LOCAL ROLE tenancy_owner;
-- PostgreSQL lets everybody execute a new function; here each one is granted to whom it is for.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT USAGE ON SCHEMA tenancy TO :"login";

-- The two pads of HMAC-SHA-256 (RFC 2104) are stored in place of the secret: core PostgreSQL has no XOR of bytes.
CREATE TABLE tenancy.keys (
  kid       text PRIMARY KEY CHECK (kid ~ '^[a-z0-9][a-z0-9-]{0,31}$'),
  inner_pad bytea NOT NULL CHECK (octet_length(inner_pad) = 64),
  outer_pad bytea NOT NULL CHECK (octet_length(outer_pad) = 64),
  added_at  timestamptz NOT NULL DEFAULT now(),
  not_after timestamptz
);
-- No policy: a grant made by mistake still shows nothing. The owner, whom the function below runs as, is not bound.
ALTER TABLE tenancy.keys ENABLE ROW LEVEL SECURITY;

-- {tenant, issuer, subject, tier} of the verified context; NULL when there is none; an error when it is not valid.
-- Form: v2|kid|tenant|base64url(issuer LF subject)|tier|expiry|sha256(statement)|hmac
CREATE FUNCTION tenancy.verified_context() RETURNS text[]
  LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  context   constant text := current_setting('tenancy.context', true);
  part      text[];
  inner_pad bytea;
  outer_pad bytea;
  mac       text;
  person    text;
BEGIN
  -- After a transaction the setting is the empty string, not NULL: both mean that nobody set a context.
  IF context IS NULL OR context = '' THEN
    RETURN NULL;
  END IF;
  -- The length first: nobody makes the server hash a megabyte.
  IF octet_length(context) <= 1024 THEN
    part := string_to_array(context, '|');
    SELECT k.inner_pad, k.outer_pad INTO inner_pad, outer_pad
    FROM tenancy.keys k WHERE k.kid = part[2] AND (k.not_after IS NULL OR k.not_after > clock_timestamp());
    mac := encode(sha256(outer_pad || sha256(inner_pad || convert_to(left(context, -65), 'UTF8'))), 'hex');
    -- Hashed once more on both sides, the time of the comparison tells nothing of the MAC. An unknown key makes it NULL.
    IF sha256(inner_pad || convert_to(mac, 'UTF8')) = sha256(inner_pad || convert_to(part[8], 'UTF8')) THEN
      -- Only the server can have written it, so its parts have their form: a pattern costs more than all the rest.
      IF part[1] = 'v2' AND cardinality(part) = 8 AND to_timestamp(part[6]::bigint) > clock_timestamp()
         AND part[7] = encode(sha256(convert_to(current_query(), 'UTF8')), 'hex') THEN
        person := convert_from(decode(
          rpad(translate(part[4], '-_', '+/'), (length(part[4]) + 3) / 4 * 4, '='), 'base64'), 'UTF8');
        -- The first line feed parts them: an issuer, being a URL, has none, and a subject may hold any character.
        RETURN ARRAY[nullif(part[3], ''), split_part(person, chr(10), 1),
                     substr(person, strpos(person, chr(10)) + 1), nullif(part[5], '')];
      END IF;
    END IF;
  END IF;
  -- One sentence for every reason: it says nothing of which check failed.
  RAISE EXCEPTION 'the tenant context is not valid' USING ERRCODE = 'insufficient_privilege';
END
$$;

-- Policies call these as `(SELECT tenancy.current_tenant())`: once a query, not once a row.
CREATE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[1];
CREATE FUNCTION tenancy.current_issuer() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[2];
CREATE FUNCTION tenancy.current_subject() RETURNS text LANGUAGE sql STABLE PARALLEL RESTRICTED
  RETURN (tenancy.verified_context())[3];
GRANT EXECUTE ON FUNCTION tenancy.verified_context(), tenancy.current_tenant(), tenancy.current_issuer(),
  tenancy.current_subject() TO :"login";

RESET ROLE;
