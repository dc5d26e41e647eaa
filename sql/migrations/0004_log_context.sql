-- The context names its request, and the database can log whom each statement was run for: see docs/audit.md.

SET LOCAL ROLE tenancy_owner;

-- Stands where the login can neither read nor change it, in a row that is read anyway: no setting of a session, which
-- any SELECT could switch off with set_config(), and no cost. `tenantgate audit database` sets it for all keys.
ALTER TABLE tenancy.keys ADD COLUMN logged boolean NOT NULL DEFAULT false;

-- {tenant, issuer, subject, tier} of the verified context; NULL when there is none; an error when it is not valid.
-- Form: v3|kid|tenant|base64url(issuer LF subject)|tier|request|expiry|sha256(statement)|hmac
-- v2 has no request: that is what servers of the version before sign, which serve while they are replaced.
CREATE OR REPLACE FUNCTION tenancy.verified_context() RETURNS text[]
  LANGUAGE plpgsql STABLE SECURITY DEFINER PARALLEL RESTRICTED
  SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  context   constant text := current_setting('tenancy.context', true);
  part      text[];
  last      int;
  inner_pad bytea;
  outer_pad bytea;
  logged    boolean;
  mac       text;
  person    text;
  issuer    text;
  subject   text;
BEGIN
  -- After a transaction the setting is the empty string, not NULL: both mean that nobody set a context.
  IF context IS NULL OR context = '' THEN
    RETURN NULL;
  END IF;
  -- The length first: nobody makes the server hash a megabyte.
  IF octet_length(context) <= 1024 THEN
    part := string_to_array(context, '|');
    last := cardinality(part);
    SELECT k.inner_pad, k.outer_pad, k.logged INTO inner_pad, outer_pad, logged
    FROM tenancy.keys k WHERE k.kid = part[2] AND (k.not_after IS NULL OR k.not_after > clock_timestamp());
    mac := encode(sha256(outer_pad || sha256(inner_pad || convert_to(left(context, -65), 'UTF8'))), 'hex');
    -- Hashed once more on both sides, the time of the comparison tells nothing of the MAC. An unknown key makes it NULL.
    IF sha256(inner_pad || convert_to(mac, 'UTF8')) = sha256(inner_pad || convert_to(part[last], 'UTF8')) THEN
      -- Only the server can have written it, so its parts have their form: a pattern costs more than all the rest.
      IF (part[1] = 'v3' AND last = 9 OR part[1] = 'v2' AND last = 8)
         AND to_timestamp(part[last - 2]::bigint) > clock_timestamp()
         AND part[last - 1] = encode(sha256(convert_to(current_query(), 'UTF8')), 'hex') THEN
        person := convert_from(decode(
          rpad(translate(part[4], '-_', '+/'), (length(part[4]) + 3) / 4 * 4, '='), 'base64'), 'UTF8');
        -- The first line feed parts them: an issuer, being a URL, has none, and a subject may hold any character.
        issuer := split_part(person, chr(10), 1);
        subject := substr(person, strpos(person, chr(10)) + 1);
        IF logged THEN
          -- The subject last, and as JSON: whatever it holds, it can look like no other part, and like no other line.
          RAISE LOG 'tenantgate request=% statement=% tenant=% issuer=% subject=%',
            CASE WHEN last = 9 THEN part[6] END, part[last - 1], part[3], issuer, to_json(subject);
        END IF;
        RETURN ARRAY[nullif(part[3], ''), issuer, subject, nullif(part[5], '')];
      END IF;
    END IF;
  END IF;
  -- One sentence for every reason: it says nothing of which check failed.
  RAISE EXCEPTION 'the tenant context is not valid' USING ERRCODE = 'insufficient_privilege';
END
$$;

RESET ROLE;
