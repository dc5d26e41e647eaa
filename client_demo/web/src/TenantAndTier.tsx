import Badge from "@cloudscape-design/components/badge";

interface Props {
  tenant: string | null;
  tier: string | null;
}

export function TenantAndTier({ tenant, tier }: Props) {
  return (
    <span className="badges">
      <Badge color={tenant ? "blue" : "grey"}>{tenant ? `tenant ${tenant}` : "no tenant"}</Badge>
      <Badge color="grey">{tier ? `tier ${tier}` : "no tier"}</Badge>
    </span>
  );
}
