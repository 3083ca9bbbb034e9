-- Accounts that send by mail, and how their mails are read.
create table mail_gateway (
    id bigint primary key,
    tenant_id bigint not null,
    account_id bigint not null,
    name text not null,
    -- below the domain of the SMTP server, in lower case; unique over the whole platform, because a mail names no tenant
    subdomain text not null,
    active boolean not null,
    -- who may send, and what becomes of the text, as JSON: see GatewaySettings
    settings text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null
);
create unique index mail_gateway_account on mail_gateway (account_id);
create unique index mail_gateway_subdomain on mail_gateway (subdomain);
create index mail_gateway_tenant on mail_gateway (tenant_id, id);
