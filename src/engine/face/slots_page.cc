// Slots as JSON and as HTML.
#include "engine/face/slots_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/json_text.h"

namespace penstock::engine {
namespace {

std::string_view Word(SlotState::Phase phase) {
  switch (phase) {
    case SlotState::Phase::kFree:
      return "free";
    case SlotState::Phase::kPrefill:
      return "prefill";
    case SlotState::Phase::kDecode:
      return "decode";
  }
  return "free";
}

std::string Escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else {
      out += c;
    }
  }
  return out;
}

double MeanStepMs(const EngineMetrics& metrics) {
  return metrics.steps == 0 ? 0
                            : Milliseconds(metrics.step_time) / static_cast<double>(metrics.steps);
}

double OwnPercent(const EngineMetrics& metrics) {
  return metrics.steps == 0
             ? 0
             : 100 * (1 - Seconds(metrics.computing_time) / Seconds(metrics.step_time));
}

// How far a slot is, of all that it may become.
double Percent(const SlotState& slot) {
  const int whole = slot.prompt_tokens + slot.output_tokens_max;
  return whole == 0 ? 0 : 100.0 * std::min(slot.cells, whole) / whole;
}

constexpr std::string_view kStyle =
    "body{font:14px/1.5 system-ui,sans-serif;margin:2em;color:#1b2733}h1{font-size:1.3em}"
    "table{border-collapse:collapse;margin-top:1em}"
    "th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #dde3e8}"
    "th{font-weight:600}td:nth-child(2),th:nth-child(2){text-align:left}"
    ".bar{width:10em;height:.8em;background:#e8edf1}.bar div{height:100%;background:#2b7bba}"
    ".free{color:#8a97a3}dl{display:grid;grid-template-columns:max-content max-content;"
    "gap:.1em 1.5em}dd{margin:0;text-align:right}";

void AppendFacts(std::string& out, const EngineMetrics& m) {
  const auto row = [&out](std::string_view name, const std::string& value) {
    fmt::format_to(std::back_inserter(out), "<dt>{}</dt><dd>{}</dd>", name, value);
  };
  out += "<dl>";
  row("requests waiting", fmt::format("{}", m.queued));
  row("requests running", fmt::format("{} of {}", m.running, m.slots));
  row("last step", fmt::format("{} decodes, {} prompt tokens", m.last_step.decodes,
                               m.last_step.shape.prefill_tokens));
  row("mean step", fmt::format("{:.1f} ms", MeanStepMs(m)));
  row("prompt tokens computed", fmt::format("{}", m.prompt_tokens));
  row("prompt tokens reused", fmt::format("{}", m.prefixes.cached_tokens));
  row("prefix store",
      fmt::format("{} of {} MiB", m.prefixes.store_bytes >> 20, m.prefixes.store_bytes_max >> 20));
  row("tokens drawn", fmt::format("{}", m.completion_tokens));
  row("outside the kernels", fmt::format("{:.1f} %", OwnPercent(m)));
  out += "</dl>";
}

}  // namespace

void AppendSlots(std::string& out, std::string_view model, const EngineMetrics& metrics,
                 std::span<const SlotState> slots) {
  const auto to = std::back_inserter(out);
  out += "{\"model\":";
  AppendJsonString(out, model);
  fmt::format_to(to,
                 R"(,"queued":{},"running":{},"step":{{"decodes":{},"prompt_tokens":{},)"
                 R"("prompt_tokens_max":{},"mean_ms":{:.3f},"outside_kernels_percent":{:.2f}}},)"
                 R"("prefix_cache":{{"cached_tokens":{},"store_bytes":{},"store_bytes_max":{}}},)"
                 R"("slots":[)",
                 metrics.queued, metrics.running, metrics.last_step.decodes,
                 metrics.last_step.shape.prefill_tokens, metrics.step_budget, MeanStepMs(metrics),
                 OwnPercent(metrics), metrics.prefixes.cached_tokens, metrics.prefixes.store_bytes,
                 metrics.prefixes.store_bytes_max);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const SlotState& slot = slots[i];
    fmt::format_to(to,
                   R"({}{{"slot":{},"state":"{}","request":{},"prompt_tokens":{},)"
                   R"("cached_tokens":{},"cells":{},"output_tokens":{},"output_tokens_max":{},)"
                   R"("age_ms":{:.3f}}})",
                   i == 0 ? "" : ",", i, Word(slot.phase), slot.id, slot.prompt_tokens,
                   slot.cached_tokens, slot.cells, slot.output_tokens, slot.output_tokens_max,
                   Milliseconds(slot.age));
  }
  out += "]}";
}

void AppendSlotsPage(std::string& out, std::string_view model, const EngineMetrics& metrics,
                     std::span<const SlotState> slots) {
  const auto to = std::back_inserter(out);
  const std::string name = Escaped(model);
  fmt::format_to(to,
                 "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh "
                 "content=1><title>{0}: slots</title><style>{1}</style><h1>{0}</h1>",
                 name, kStyle);
  AppendFacts(out, metrics);
  out +=
      "<table><tr><th>slot<th>state<th>request<th>prompt<th>reused<th>in cache<th>output<th>of at "
      "most<th>since<th>";
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const SlotState& slot = slots[i];
    if (slot.phase == SlotState::Phase::kFree) {
      fmt::format_to(to, "<tr class=free><td>{}<td>free<td><td><td><td>{}<td><td><td><td>", i,
                     slot.cells);
      continue;
    }
    fmt::format_to(to,
                   "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.1f} s<td><div "
                   "class=bar><div style=\"width:{:.0f}%\"></div></div>",
                   i, Word(slot.phase), slot.id, slot.prompt_tokens, slot.cached_tokens, slot.cells,
                   slot.output_tokens, slot.output_tokens_max, Seconds(slot.age), Percent(slot));
  }
  out += "</table></html>\n";
}

}  // namespace penstock::engine
