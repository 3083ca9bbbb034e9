-- Services that people of a tenant sign in with.
create table identity_provider (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    name text not null,
    -- Whether people can sign in with it.
    active boolean not null,
    issuer text not null,
    client_id text not null,
    -- Sealed; null for a client without a secret.
    secret_sealed text,
    -- What else is set, as JSON: see ProviderSettings.
    settings text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);

create unique index identity_provider_name on identity_provider (tenant_id, name);

-- Whose people a domain of e-mail addresses leads to, over all tenants: the sign-in page asks before anybody is known.
create table identity_domain (
    domain text primary key,
    tenant_id bigint not null,
    provider_id bigint not null references identity_provider (id)
);

create index identity_domain_provider on identity_domain (provider_id);

-- Who a user is at such a service.
create table user_identity (
    provider_id bigint not null references identity_provider (id),
    subject text not null,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    linked_at bigint not null,
    primary key (provider_id, subject)
);

create index user_identity_user on user_identity (tenant_id, user_id);
