-- Data keys that a newer one has replaced. The current one stands with its tenant.
create table former_data_key (
    tenant_id bigint not null references tenant (id),
    -- The key's id, as the texts that it has sealed name it.
    key_id text not null,
    -- Wrapped by a root key.
    wrapped text not null,
    retired_at bigint not null,
    primary key (tenant_id, key_id)
);
