// The API's documentation: Swagger UI over /openapi.json, from this server alone. On the reader's own machine the
// development key is filled in, elsewhere the key of the dashboard in the same tab; else "Authorize" takes one.
import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";
import { chooseKey } from "../data/access-key.ts";

interface SwaggerUi {
  preauthorizeApiKey(scheme: string, key: string): unknown;
}

/** What swagger-ui-bundle.js leaves behind; it has no types of its own. */
declare const SwaggerUIBundle: (options: Record<string, unknown>) => SwaggerUi;

const darkScheme = matchMedia("(prefers-color-scheme: dark)");
/** Swagger UI has its dark colours under a class, not under the reader's setting. */
function followScheme(): void {
  document.documentElement.classList.toggle("dark-mode", darkScheme.matches);
}
darkScheme.addEventListener("change", followScheme);
followScheme();

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  // The shapes stand with each endpoint; all of them once more make a long page.
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
  // Nobody else is asked whether the document is valid, and no address can put another document here.
  validatorUrl: "none",
  queryConfigEnabled: false,
  persistAuthorization: false,
  onComplete: () => {
    const stored = sessionStorage.getItem("weir.key");
    const key = chooseKey({ hash: "", stored, hostname: location.hostname });
    if (key !== undefined) ui.preauthorizeApiKey("bearer", key);
  },
});
