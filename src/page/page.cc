#include "page/page.h"

#include "page/style.h"
#include "page/svg_chart.h"

namespace penstock::page {

void Page::Open(std::string_view title, std::string_view subtitle) {
  const std::string escaped = EscapeHtml(title);
  Add("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
  Add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
  Add("<title>{}</title><style>{}</style></head><body><main>", escaped, kPageStyle);
  Add("<header><div><h1>{}</h1><p>{}</p></div><span class=\"brand\">Penstock</span></header>",
      escaped, EscapeHtml(subtitle));
}

void Page::AddTerm(std::string_view term, std::string_view value) {
  Add("<dt>{}</dt><dd>{}</dd>", EscapeHtml(term), EscapeHtml(value));
}

void Page::Close(std::string_view foot) {
  Add("<footer>{}</footer></main></body></html>", EscapeHtml(foot));
}

}  // namespace penstock::page
