-- After the county is loaded: the indexes the application uses, before-images, and what is published (`check` prints
-- these statements; the publication bears the name that SyncService gives it for the system `pacs`).
CREATE INDEX parcel_owner ON public.parcel (owner_id);
CREATE INDEX sale_apn ON public.sale (apn);
CREATE INDEX permit_apn ON public.permit (apn);

ALTER TABLE public.owner REPLICA IDENTITY FULL;
ALTER TABLE public.parcel REPLICA IDENTITY FULL;
ALTER TABLE public.sale REPLICA IDENTITY FULL;
ALTER TABLE public.permit REPLICA IDENTITY FULL;

GRANT USAGE ON SCHEMA public TO terrafusion_cdc;
GRANT SELECT ON public.owner, public.parcel, public.sale, public.permit TO terrafusion_cdc;
CREATE PUBLICATION terrafusion_pacs FOR TABLE public.owner, public.parcel, public.sale, public.permit;

ANALYZE public.owner, public.parcel, public.sale, public.permit;
