-- Roles that a tenant has made for itself, beside those that every installation has.
create table access_role (
    tenant_id bigint not null references tenant (id),
    name text not null,
    title text not null,
    about text not null,
    -- the role whose permissions it has too
    parent text,
    -- a JSON object: a permission's name, and about whose records it is held
    permissions text not null,
    revision bigint not null,
    created_at bigint not null,
    changed_at bigint not null,
    primary key (tenant_id, name)
);

-- What a user was given for a time.
create table access_grant (
    id bigint primary key,
    tenant_id bigint not null,
    user_id bigint not null references users (id),
    -- one of the two: a role's name, or a JSON object of permissions as above
    role text,
    permissions text,
    reason text not null,
    created_by text not null,
    created_at bigint not null,
    ends_at bigint not null,
    ended_at bigint,
    ended_by text
);

create index access_grant_tenant on access_grant (tenant_id, id);
create index access_grant_user on access_grant (user_id, ends_at);
create index access_grant_open on access_grant (ends_at) where ended_at is null;

create table team (
    id bigint primary key,
    tenant_id bigint not null references tenant (id),
    name text not null,
    about text not null,
    created_at bigint not null
);

create unique index team_name on team (tenant_id, name);

create table team_member (
    tenant_id bigint not null,
    team_id bigint not null references team (id),
    user_id bigint not null references users (id),
    primary key (team_id, user_id)
);

create index team_member_user on team_member (user_id, team_id);

-- Some names allow less than they did; a key keeps what it had by the names that were split off.
update api_key set scopes = replace(scopes, '"message.send"', '"message.send","message.quote"');
update api_key set scopes = replace(scopes, '"message.view"', '"message.view","message.pdu","conversation.view","accounting.view"');
update api_key set scopes = replace(scopes, '"message.cancel"', '"message.cancel","message.replace"');
update api_key set scopes = replace(scopes, '"account.view"', '"account.view","mail_gateway.view","distribution_list.view"');
update api_key set scopes = replace(scopes, '"connection.operate"', '"connection.operate","connection.renew"');
update api_key set scopes = replace(scopes, '"route.view"', '"route.view","route.try","route.replay","lookup.view","number_plan.view"');
update api_key set scopes = replace(scopes, '"sender.view"', '"sender.view","sender_pool.view","sender_policy.view"');
update api_key set scopes = replace(scopes, '"firewall.view"', '"firewall.view","gate.check","refusal.view","held.view"');
update api_key set scopes = replace(scopes, '"opt_out.view"', '"opt_out.view","opt_out.export"');
update api_key set scopes = replace(scopes, '"queue.view"', '"queue.view","pause.view","dead_letter.view","dead_letter.export","dead_job.view"');
update api_key set scopes = replace(scopes, '"user.view"', '"user.view","role.view"');
update api_key set scopes = replace(scopes, '"audit.view"', '"audit.view","audit.export","audit.verify"');
update api_key set scopes = replace(scopes, '"cdr.view"', '"cdr.view","cdr.download","cdr.verify"');
