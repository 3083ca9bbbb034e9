-- The person who sent a message, themselves or by a key or an application of theirs. Null for what nobody owns: what systems
-- submit over SMPP, UCP and mail, what the product sends by itself, and what phones write.
alter table message add column owner_id bigint;

-- The messages of a person, in the order of time. What nobody owns is not in it, so systems pay nothing for it.
create index message_owner on message (tenant_id, owner_id, id) where owner_id is not null;
