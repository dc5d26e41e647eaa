-- The sample tenants and claims. Filing dates are placed relative to the day of loading, by ISO weeks in UTC, so that
-- "last week" always has the same answer: two claims of broker-a, one of broker-b.

INSERT INTO tenancy.tenants (tenant_id, name) VALUES
  ('broker-a', 'Broker A Insurance Services'),
  ('broker-b', 'Broker B Underwriting')
ON CONFLICT (tenant_id) DO NOTHING;

INSERT INTO app.claims
  (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, filed_at, description)
SELECT tenant_id, claim_number, customer_name, claim_amount, status, line_of_business,
       date_trunc('week', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + since_monday, description
FROM (VALUES
  ('broker-a', 'CLM-A-001', 'Alice Johnson', 2400.00, 'open', 'auto', interval '-6 days 9 hours',
   'Rear-end collision at low speed; bumper and tail light.'),
  ('broker-a', 'CLM-A-002', 'Bob Williams', 8150.50, 'pending', 'home', interval '-4 days 14 hours',
   'Burst pipe in the kitchen; water damage to the floor.'),
  ('broker-a', 'CLM-A-003', 'Carol Martinez', 1275.25, 'approved', 'auto', interval '-19 days 11 hours',
   'Windscreen cracked by a stone on the motorway.'),
  ('broker-b', 'CLM-B-001', 'David Chen', 15300.00, 'open', 'home', interval '-5 days 10 hours',
   'Storm damage to the roof; two rooms affected.'),
  ('broker-b', 'CLM-B-002', 'Eva Lindqvist', 4890.75, 'closed', 'auto', interval '-33 days 16 hours',
   'Side impact in a car park; door and mirror replaced.')
) AS sample (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, since_monday, description)
ON CONFLICT (tenant_id, claim_number) DO UPDATE SET filed_at = excluded.filed_at;
