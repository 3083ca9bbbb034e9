-- The countries that each account has sent to, so that a burst to a new one is noticed. Account 0 is the API.
create table known_country (
    tenant_id bigint not null,
    account_id bigint not null,
    country text not null,
    first_at bigint not null,
    primary key (tenant_id, account_id, country)
);

-- Up to which message each tenant's were looked at.
create table country_watch (
    tenant_id bigint primary key,
    message_id bigint not null
);
