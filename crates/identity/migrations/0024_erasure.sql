-- When the tenant is to be erased; null while nobody has asked for it.
alter table tenant add column erase_at bigint;

-- Erasures: asked for, called off, under way, done. The platform's own table: it outlives the tenant, and holds nothing of it
-- but its id and a hash of its name.
create table erasure (
    id bigint primary key,
    tenant bigint not null,
    name_sha256 text not null,
    asked_by text not null,
    asked_at bigint not null,
    erase_at bigint not null,
    called_off_at bigint,
    began_at bigint,
    -- rows that were deleted, by table, as JSON
    counts text not null,
    erased_at bigint,
    -- when the database's file was written anew, or was found too large for that
    rewritten_at bigint,
    -- the certificate: what was signed octet for octet, by the key of the platform's audit trail
    body text,
    signature text,
    public_key text
);

create index erasure_tenant on erasure (tenant, id);
create index erasure_open on erasure (erase_at) where called_off_at is null and rewritten_at is null;
