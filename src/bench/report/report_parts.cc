#include "bench/report/report_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "page/numbers.h"
#include "page/svg_chart.h"

namespace penstock::bench {
namespace {

// A command line that breaks between its words, never within a flag.
std::string Words(std::string_view command) {
  std::string html;
  for (std::size_t at = 0; at < command.size();) {
    const std::size_t end = std::min(command.find(' ', at), command.size());
    if (!html.empty()) html += ' ';
    html += fmt::format("<span class=\"word\">{}</span>",
                        page::EscapeHtml(command.substr(at, end - at)));
    at = end + 1;
  }
  return html;
}

}  // namespace

void AddEnvironment(const RunHeader& header, page::Page& page) {
  const Environment& environment = header.environment;
  page.Add("<dl>");
  page.AddTerm("Started", MomentText(header.started_at));
  page.AddTerm("Load generator",
               fmt::format("penstock {} ({})", environment.version, environment.build_type));
  page.AddTerm("Its processor", environment.host_cpu);
  page.AddTerm("Its cores", fmt::format("{}, of which {} drove", environment.host_cores,
                                        header.settings.threads));
  page.AddTerm("Its system", environment.system);
  if (const SelfTest& test = header.self_test; test.samples > 0) {
    page.AddTerm(
        "Its own error",
        fmt::format("TTFT p50 {}, p99 {}; stamps p99 {} ({} streams, self-test)",
                    page::DurationText(static_cast<double>(test.ttft_error_p50_ns) * 1e-6),
                    page::DurationText(static_cast<double>(test.ttft_error_p99_ns) * 1e-6),
                    page::DurationText(static_cast<double>(test.stamp_error_p99_ns) * 1e-6),
                    test.streams));
  } else {
    page.AddTerm("Its own error", "not measured; --self-test measures it");
  }
  if (!header.settings.command.empty()) {
    page.Add("<dt>Command</dt><dd><code>{}</code></dd>", Words(header.settings.command));
  }
  page.Add("</dl>");
}

std::string MomentText(const std::string& started_at) {
  if (started_at.size() != 24 || started_at[10] != 'T') return started_at;
  return started_at.substr(0, 10) + " " + started_at.substr(11, 8) + " UTC";
}

std::string TargetText(const RunHeader& header) {
  if (!header.settings.model.empty()) return header.settings.model;
  const std::string_view url = header.settings.url;
  for (const auto& [before, after] :
       {std::pair<std::string_view, std::string_view>{"/deployments/", "/"},
        {"/serving-endpoints/", "/invocations"}}) {
    const std::size_t at = url.find(before);
    if (at == std::string_view::npos) continue;
    const std::string_view rest = url.substr(at + before.size());
    const std::size_t end = rest.find('/');
    if (end != std::string_view::npos && end > 0 && rest.substr(end).starts_with(after)) {
      return std::string(rest.substr(0, end));
    }
  }
  return header.settings.url;
}

}  // namespace penstock::bench
