-- The policy that the attacks are tried on first: a plain session setting, as in many examples.
CREATE SCHEMA app;
CREATE SCHEMA tenancy;
CREATE TABLE tenancy.tenants (tenant_id text PRIMARY KEY, name text NOT NULL);
CREATE TABLE tenancy.user_tenants (issuer text, user_sub text, tenant_id text NOT NULL REFERENCES tenancy.tenants);
CREATE TABLE app.claims (
  id bigserial PRIMARY KEY, tenant_id text NOT NULL REFERENCES tenancy.tenants, claim_number text NOT NULL
);
INSERT INTO tenancy.tenants VALUES ('broker-a', 'A'), ('broker-b', 'B');
INSERT INTO tenancy.user_tenants VALUES ('x', 'mike', 'broker-a'), ('x', 'emma', 'broker-b');
INSERT INTO app.claims (tenant_id, claim_number) VALUES
  ('broker-a', 'CLM-A-001'), ('broker-a', 'CLM-A-002'), ('broker-a', 'CLM-A-003'),
  ('broker-b', 'CLM-B-001'), ('broker-b', 'CLM-B-002');
ALTER TABLE app.claims ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_isolation ON app.claims USING (tenant_id = current_setting('app.current_tenant_id', true));
GRANT USAGE ON SCHEMA app, tenancy TO app_user;
GRANT SELECT ON ALL TABLES IN SCHEMA app, tenancy TO app_user;
