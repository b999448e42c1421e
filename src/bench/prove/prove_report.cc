#include "bench/prove/prove_report.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>
#include <string_view>

#include "bench/judge/answer.h"
#include "bench/report/json_writer.h"
#include "bench/report/report_parts.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::DurationText;
using page::Figure;
namespace {

std::string_view Word(Kept kept) {
  switch (kept) {
    case Kept::kKept:
      return "kept";
    case Kept::kBroken:
      return "BROKEN";
    case Kept::kNotTested:
      return "not tested";
  }
  return "";
}

std::string SeenText(const Proof& proof, const ProofWindow& window) {
  std::string text;
  for (std::size_t i = 0; i < window.seen.size(); ++i) {
    const BudgetTerm& term = proof.terms.budget.terms[i];
    if (!text.empty()) text += ", ";
    const std::string name = term.text.substr(0, term.text.find('<'));
    text += term.kind == BudgetTerm::Kind::kErrors
                ? fmt::format("{} {}%", name, Figure(100 * window.seen[i]))
            : std::isinf(window.seen[i]) ? name + " none"
                                         : fmt::format("{} {}", name, DurationText(window.seen[i]));
  }
  return text;
}

void AddWindows(const Proof& proof, const std::vector<ProofWindow>& windows, std::string& out) {
  for (const ProofWindow& window : windows) {
    fmt::format_to(std::back_inserter(out),
                   "  {:>3}  {:>10} tokens/s  {:>6} due {:>5} refused {:>4} "
                   "failed  {}  {}\n",
                   window.number, Figure(window.delivered_tokens_per_s), window.due, window.refused,
                   window.failed, SeenText(proof, window), window.kept() ? "kept" : "BROKEN");
  }
}

void WriteWindows(std::string_view name, const Proof& proof,
                  const std::vector<ProofWindow>& windows, JsonWriter& writer) {
  writer.Key(name);
  writer.Open('[');
  for (const ProofWindow& window : windows) {
    writer.Open('{');
    writer.Field("number", window.number);
    writer.Field("seconds", window.seconds);
    writer.Field("due", window.due);
    writer.Field("answered", window.answered);
    writer.Field("refused", window.refused);
    writer.Field("failed", window.failed);
    writer.Field("delivered_tokens_per_s", window.delivered_tokens_per_s);
    writer.Flag("delivered", window.delivered);
    writer.Flag("on_time", window.on_time);
    writer.Key("terms");
    writer.Open('{');
    for (std::size_t i = 0; i < window.seen.size(); ++i) {
      writer.FieldOrNull(proof.terms.budget.terms[i].text, window.seen[i]);
    }
    writer.Close('}');
    writer.Close('}');
  }
  writer.Close(']');
}

void WriteRefusals(const Proof& proof, JsonWriter& writer) {
  const RefusalFacts& facts = proof.refusals;
  writer.Key("beyond");
  writer.Open('{');
  writer.Field("factor", proof.beyond_factor);
  writer.Field("sent", facts.sent);
  writer.Field("answered", facts.answered);
  writer.Field("refused", facts.refused);
  writer.Field("failed", facts.failed);
  writer.Field("without_retry_after", facts.without_hint);
  writer.Field("delivered_tokens_per_s", facts.delivered_tokens_per_s);
  writer.Field("refusal_ms", facts.refusal_ms);
  writer.Field("retry_after_ms", facts.retry_after_ms);
  writer.Close('}');
  writer.Key("retries");
  writer.Open('[');
  for (const ProofRetry& retry : proof.retries) {
    writer.Open('{');
    writer.Field("promised_ms", retry.promised_ms);
    writer.Field("waited_ms", retry.waited_ms);
    writer.Flag("admitted", retry.admitted);
    writer.Close('}');
  }
  writer.Close(']');
}

}  // namespace

std::string RenderProofText(const Proof& proof) {
  std::string out =
      fmt::format("sold: {}, within {}\n\n", SoldText(proof.terms), proof.terms.budget.Text());
  for (const Promise& promise : proof.promises) {
    out += fmt::format("{:<11} {:<12} {}\n{:<24} {}\n", Word(promise.kept), promise.name,
                       promise.promise, "", promise.evidence);
  }
  out += "\nwindows\n";
  AddWindows(proof, proof.windows, out);
  if (!proof.neighbour_windows.empty()) {
    out += "windows beside a flooding neighbour\n";
    AddWindows(proof, proof.neighbour_windows, out);
  }
  return out + "\n" + ProofAnswer(proof) + "\nevidence sha256 " + proof.digest + "\n";
}

std::string RenderProofMarkdown(const Proof& proof) {
  std::string out = fmt::format(
      "### Provisioned throughput of {}: {}\n\n{}\n\nSold: {}, within `{}`.\n\n| promise | verdict "
      "| "
      "evidence |\n|---|---|---|\n",
      TargetText(proof.header), proof.kept ? "kept" : "not kept", ProofAnswer(proof),
      SoldText(proof.terms), proof.terms.budget.Text());
  for (const Promise& promise : proof.promises) {
    out += fmt::format("| {} | **{}** | {} |\n", promise.promise, Word(promise.kept),
                       promise.evidence);
  }
  out +=
      "\n| window | delivered tokens/s | due | refused | failed | seen | verdict |\n"
      "|---:|---:|---:|---:|---:|---|---|\n";
  for (const ProofWindow& window : proof.windows) {
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", window.number,
                       Figure(window.delivered_tokens_per_s), window.due, window.refused,
                       window.failed, SeenText(proof, window), window.kept() ? "kept" : "BROKEN");
  }
  return out + fmt::format("\n{}, penstock {}, evidence sha256 `{}`\n", proof.header.started_at,
                           proof.header.environment.version, proof.digest);
}

std::string RenderProofJson(const Proof& proof) {
  JsonWriter writer;
  writer.Open('{');
  writer.Flag("kept", proof.kept);
  writer.Flag("interrupted", proof.interrupted);
  writer.Field("answer", std::string_view(ProofAnswer(proof)));
  writer.Field("sold_tokens_per_s", proof.terms.sold_tokens_per_s);
  writer.Field("budget", std::string_view(proof.terms.budget.Text()));
  writer.Field("input_tokens", proof.terms.input_tokens);
  writer.Field("output_tokens", proof.terms.output_tokens);
  writer.Field("output_weight", proof.terms.output_weight);
  writer.Field("requests_per_s", proof.terms.RequestsPerSecond());
  writer.Key("promises");
  writer.Open('[');
  for (const Promise& promise : proof.promises) {
    writer.Open('{');
    writer.Field("name", std::string_view(promise.name));
    writer.Field("verdict", Name(promise.kept));
    writer.Field("promise", std::string_view(promise.promise));
    writer.Field("evidence", std::string_view(promise.evidence));
    writer.Close('}');
  }
  writer.Close(']');
  WriteWindows("windows", proof, proof.windows, writer);
  if (proof.utilization_percent.count > 0) {
    writer.Field("utilization_percent", proof.utilization_percent);
  }
  WriteRefusals(proof, writer);
  WriteWindows("neighbour_windows", proof, proof.neighbour_windows, writer);
  writer.Key("neighbour");
  writer.Open('{');
  writer.Field("sent", proof.neighbour_sent);
  writer.Field("answered", proof.neighbour_answered);
  writer.Field("refused", proof.neighbour_refused);
  writer.Close('}');
  writer.Field("url", std::string_view(proof.header.settings.url));
  writer.Field("model", std::string_view(proof.header.settings.model));
  writer.Field("started_at", std::string_view(proof.header.started_at));
  writer.Field("version", std::string_view(proof.header.environment.version));
  writer.Field("command", std::string_view(proof.header.settings.command));
  writer.Field("evidence_sha256", std::string_view(proof.digest));
  writer.Close('}');
  return writer.Take() + "\n";
}

}  // namespace penstock::bench
