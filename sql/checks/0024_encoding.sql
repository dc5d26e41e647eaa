-- The database keeps texts in UTF-8, in which statements are signed and sent.
SELECT 'database ' || datname, 'its encoding is ' || pg_encoding_to_char(encoding),
       'make one with ENCODING ''UTF8'' and load the data there'
FROM pg_database WHERE datname = current_database() AND pg_encoding_to_char(encoding) <> 'UTF8'
