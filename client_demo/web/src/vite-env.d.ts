declare module "@cloudscape-design/components/i18n/messages/all.en" {
  import type { I18nProviderProps } from "@cloudscape-design/components/i18n";
  const messages: I18nProviderProps["messages"][number];
  export default messages;
}
