-- A help desk's database: what its application made before it was declared in desk.toml.

CREATE ROLE desk_owner NOLOGIN;
CREATE ROLE desk_app;
-- Nobody logs in as it: it owns a view, so that the view's query reads no more than the policies let it.
CREATE ROLE desk_views NOLOGIN;

CREATE SCHEMA desk AUTHORIZATION desk_owner;
GRANT USAGE ON SCHEMA desk TO desk_app;
SET ROLE desk_owner;

CREATE TABLE desk.tickets (
  id     bigint PRIMARY KEY,
  tenant varchar(63) NOT NULL,
  title  text NOT NULL,
  status text NOT NULL,
  secret text
);
CREATE INDEX tickets_of_tenant ON desk.tickets (tenant, id);
CREATE TABLE desk.notes (
  id        bigint PRIMARY KEY,
  ticket_id integer REFERENCES desk.tickets,
  body      text NOT NULL,
  internal  text
);
CREATE INDEX notes_of_ticket ON desk.notes (ticket_id, id);
CREATE TABLE desk.colours (code text PRIMARY KEY, name text NOT NULL);
CREATE TABLE desk.events (
  tenant text NOT NULL,
  day    date NOT NULL,
  what   text NOT NULL,
  PRIMARY KEY (tenant, day, what)
) PARTITION BY RANGE (day);
CREATE TABLE desk.events_2026 PARTITION OF desk.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE desk.events_rest PARTITION OF desk.events DEFAULT;
CREATE VIEW desk.open_tickets WITH (security_invoker = true) AS
SELECT id, tenant, title FROM desk.tickets WHERE status = 'open';
CREATE VIEW desk.ticket_counts AS
SELECT tenant, status, count(*) AS tickets FROM desk.tickets GROUP BY tenant, status;
GRANT SELECT, INSERT, UPDATE, DELETE ON desk.tickets, desk.notes, desk.colours, desk.events TO desk_app;

INSERT INTO desk.tickets SELECT n, 'broker-' || chr(96 + 1 + n % 3), 'Ticket ' || n, 'open', 's' FROM generate_series(1, 60) n;
INSERT INTO desk.notes SELECT n, 1 + n % 60, 'Note ' || n, 'i' FROM generate_series(1, 300) n;
-- Of no ticket, so of nobody.
INSERT INTO desk.notes VALUES (301, NULL, 'lost', 'i');
INSERT INTO desk.colours VALUES ('r', 'red'), ('g', 'green');
INSERT INTO desk.events SELECT 'broker-' || chr(97 + n % 3), date '2025-12-01' + n, 'event' FROM generate_series(0, 89) n;

RESET ROLE;
ALTER VIEW desk.ticket_counts OWNER TO desk_views;
