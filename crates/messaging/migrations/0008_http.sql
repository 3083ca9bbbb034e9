-- Where providers of connections over HTTP post receipts and messages from phones.
create table connection_hook (
    connection_id bigint primary key,
    tenant_id bigint not null,
    -- the part of the address that nobody can guess
    token text not null,
    -- what proves who posts, readable with the tenant's key alone; of an empty text where nothing was given
    secret_sealed text not null,
    changed_at bigint not null
);
create unique index connection_hook_token on connection_hook (token);
