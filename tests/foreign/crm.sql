-- The database of a customer relations program, as its application made it: names in mixed case, ids of a provider.

CREATE ROLE crm_owner NOLOGIN;
CREATE ROLE crm_app LOGIN;

CREATE SCHEMA crm AUTHORIZATION crm_owner;
CREATE SCHEMA "Import" AUTHORIZATION crm_owner;
GRANT USAGE ON SCHEMA crm, "Import" TO crm_app;

SET ROLE crm_owner;

CREATE DOMAIN crm.tenant_ref AS text CHECK (VALUE <> '');
CREATE DOMAIN crm.email AS text CHECK (VALUE ~ '@');
CREATE DOMAIN crm.work_email AS crm.email CHECK (VALUE !~ 'private');
CREATE DOMAIN crm.money AS numeric(14, 2);

CREATE TABLE crm."Contacts" (
  "tenantRef"   varchar(64) NOT NULL,
  "contactNo"   integer NOT NULL,
  "full ""name""" text,
  email         crm.email,
  "workEmail"   crm.work_email,
  born          date,
  "createdAt"   timestamp without time zone,
  "select"      text,
  vip           boolean,
  "deletedAt"   timestamp without time zone,
  notes         text,
  PRIMARY KEY ("tenantRef", "contactNo")
);

CREATE TABLE crm.deals (
  "tenantRef"  crm.tenant_ref NOT NULL,
  "dealNo"     integer NOT NULL,
  "contactNo"  integer,
  title        text NOT NULL,
  amount       crm.money,
  stage        varchar(20),
  closed_on    date,
  "modifiedAt" timestamp(3) without time zone,
  probability  numeric(3, 2),
  commission   numeric,
  PRIMARY KEY ("tenantRef", "dealNo"),
  FOREIGN KEY ("tenantRef", "contactNo") REFERENCES crm."Contacts"
);
CREATE INDEX deals_of_contact ON crm.deals ("tenantRef", "contactNo");

-- It hides contacts that were deleted, by a column that nobody else is shown.
CREATE VIEW crm.pipeline WITH (security_invoker = true) AS
SELECT d."tenantRef", d."dealNo" AS deal, d.title, d.amount, d.stage, c."full ""name""" AS contact, c.email,
       d."modifiedAt" AS changed_at
FROM crm.deals AS d LEFT JOIN crm."Contacts" AS c ON c."tenantRef" = d."tenantRef" AND c."contactNo" = d."contactNo"
WHERE c."deletedAt" IS NULL;

CREATE TABLE "Import"."Contacts" (LIKE crm."Contacts");

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm, "Import" TO crm_app;

RESET ROLE;
