// A proof in words: what was sold, the verdict, and the evidence as lines.
#include <fmt/format.h>

#include <string>
#include <string_view>

#include "bench/prove/prove.h"
#include "bench/record/record_json.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::Count;
using page::Figure;

std::string_view Name(Kept kept) {
  switch (kept) {
    case Kept::kKept:
      return "kept";
    case Kept::kBroken:
      return "broken";
    case Kept::kNotTested:
      return "not_tested";
  }
  return "";
}

std::string EvidenceText(const ProofEvidence& evidence) {
  std::string lines;
  const auto add = [&lines](std::string_view name, const ProofStage& stage) {
    lines += fmt::format("{{\"kind\":\"stage\",\"name\":\"{}\",\"done\":{},\"from_ns\":{}}}\n",
                         name, stage.done, stage.from_ns);
    for (const RequestRecord& record : stage.requests) AppendLine(record, lines);
  };
  add("delivery", evidence.delivery);
  add("beyond", evidence.beyond);
  add("neighbour", evidence.neighbour);
  for (const ProofRetry& retry : evidence.retries) {
    lines += fmt::format(
        "{{\"kind\":\"retry\",\"promised_ms\":{},\"waited_ms\":{},\"admitted\":{},\"error\":\"{}\"}"
        "}\n",
        retry.promised_ms, retry.waited_ms, retry.admitted, Name(retry.error));
  }
  return lines;
}

std::string WeightText(const ProofTerms& terms) {
  if (terms.output_weight == 1) return "";
  return fmt::format(", an output token counted as {:g}", terms.output_weight);
}

std::string SoldText(const ProofTerms& terms) {
  return fmt::format("{} tokens/s, as {} requests/s of {} input and {} output tokens{}",
                     Figure(terms.sold_tokens_per_s), Figure(terms.RequestsPerSecond()),
                     Count(terms.input_tokens), Count(terms.output_tokens), WeightText(terms));
}

std::string ProofAnswer(const Proof& proof) {
  const auto named = [&proof](Kept kept) {
    std::string names;
    for (const Promise& promise : proof.promises) {
      if (promise.kept == kept) names += (names.empty() ? "" : ", ") + promise.name;
    }
    return names;
  };
  const std::string sold = Figure(proof.terms.sold_tokens_per_s) + " tokens/s";
  const std::string untested = named(Kept::kNotTested);
  const std::string rest = untested.empty() ? "" : fmt::format(" Not tested: {}.", untested);
  if (proof.kept) {
    return fmt::format("Kept: {} were delivered in each of {} windows, within {}.{}", sold,
                       proof.windows.size(), proof.terms.budget.Text(), rest);
  }
  const std::string broken = named(Kept::kBroken);
  const std::string kept = named(Kept::kKept);
  if (broken.empty() && !kept.empty()) {
    return fmt::format("Not proven: interrupted before all was tried of {}. Kept so far: {}.{}",
                       sold, kept, rest);
  }
  if (broken.empty()) {
    return fmt::format("Not proven: {}: {}.", sold, proof.promises.front().evidence);
  }
  return fmt::format("Broken: {}, of {} within {}.{}{}", broken, sold, proof.terms.budget.Text(),
                     kept.empty() ? "" : fmt::format(" Kept: {}.", kept), rest);
}

}  // namespace penstock::bench
