INSERT INTO public.owner
SELECT n, pg_temp.uid(n, 10),
       CASE WHEN pg_temp.pick(n, 11, 12) = 0 THEN pg_temp.person(n) || ' & Söhne GmbH' ELSE pg_temp.person(n) END,
       CASE WHEN pg_temp.pick(n, 12, 20) > 0 THEN pg_temp.street(n, 13) END,
       (ARRAY['WA', 'OR', 'ID', 'CA'])[1 + pg_temp.pick(n, 15, 4)],
       pg_temp.pick(n, 11, 12) = 0,
       CASE pg_temp.pick(n, 16, 4)
           WHEN 0 THEN NULL
           WHEN 1 THEN ARRAY[]::text[]
           WHEN 2 THEN ARRAY['509-' || lpad(pg_temp.pick(n, 17, 10000000)::text, 7, '0')]
           ELSE ARRAY['+49 ' || pg_temp.pick(n, 17, 10000000), NULL, 'ext. "7", {home}'] END,
       CASE WHEN pg_temp.pick(n, 18, 3) > 0 THEN jsonb_build_object(
           'email', 'owner' || n || '@example.org', 'lang', (ARRAY['en', 'es', 'vi', 'de'])[1 + pg_temp.pick(n, 19, 4)],
           'paperless', pg_temp.pick(n, 20, 2) = 0, 'agent', NULL) END,
       CASE WHEN pg_temp.pick(n, 21, 5) > 0 THEN pg_temp.money(n, 22, 20000) END,
       pg_temp.moment(n, 23)
FROM generate_series(1, current_setting('demo.parcels')::bigint) AS n;
