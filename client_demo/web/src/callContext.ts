import { createContext } from "react";
import type { OwnCalls } from "./calls";

interface CallPlace {
  calls: OwnCalls | undefined;
  request: string | undefined;
}

/** The tool call that something belongs to, for what the development server shows of it. */
export const CallContext = createContext<CallPlace>({ calls: undefined, request: undefined });
