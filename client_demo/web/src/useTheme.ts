import { applyMode, Mode } from "@cloudscape-design/global-styles";
import { useEffect, useState } from "react";

/** A taste, not a secret: this may stay in localStorage. */
const KEY = "tenantgate-theme";

/** The person's choice, else what the system prefers. */
export function useTheme(): [dark: boolean, toggle: () => void] {
  const [dark, setDark] = useState(() => {
    const chosen = localStorage.getItem(KEY);
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  });
  useEffect(() => applyMode(dark ? Mode.Dark : Mode.Light), [dark]);
  const toggle = () => {
    localStorage.setItem(KEY, dark ? "light" : "dark");
    setDark(!dark);
  };
  return [dark, toggle];
}
