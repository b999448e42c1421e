#include "bench/judge/answer.h"
#include "page/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace penstock::bench {

using page::Count;
using page::Counted;
using page::DurationText;
using page::Figure;
namespace {

std::string Throughput(const LevelSummary& level) {
  const Rates& rates = level.best_rates();
  const std::string scatter = PlusMinus(level.repeats, level.repeats.output_tokens_per_s);
  return fmt::format(
      "{}{} output tokens/s ({} with input{})", Figure(rates.output_tokens_per_s),
      scatter.empty() ? "" : " " + scatter, Figure(rates.total_tokens_per_s),
      scatter.empty() ? "" : fmt::format("; 95 % of {} repeats", level.repeats.count));
}

std::string Latency(const LevelSummary& level) {
  return fmt::format("latency p50 {}, p90 {}", DurationText(level.latency_ms.p50),
                     DurationText(level.latency_ms.p90));
}

std::string TermsOf(const Budget& budget, const BudgetVerdict& verdict, bool broken_only) {
  std::string text;
  for (std::size_t i = 0; i < verdict.terms.size(); ++i) {
    if (broken_only && verdict.terms[i].holds) continue;
    if (!text.empty()) text += ", ";
    text += TermText(budget.terms[i], verdict.terms[i]);
  }
  return text;
}

// The least load above the best one that broke the budget; at best none, the least load of all.
const LevelSummary* LeastBroken(const RunSummary& summary) {
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const LevelSummary& level = summary.levels[i];
    if (summary.within_budget && i <= *summary.within_budget) continue;
    if (level.verdict.judged > 0 && !level.verdict.passes && !level.scout) return &level;
  }
  return nullptr;
}

// The most load that a search only looked at, and that held the budget then.
const LevelSummary* Promising(const RunSummary& summary) {
  const LevelSummary* found = nullptr;
  for (const LevelSummary& level : summary.levels) {
    if (level.scout && level.verdict.passes && level.succeeded > 0) found = &level;
  }
  return found;
}

std::string BudgetAnswer(const RunSummary& summary) {
  const Budget& budget = summary.budget;
  const LevelSummary* broken = LeastBroken(summary);
  if (!summary.within_budget) {
    const LevelSummary* promising = Promising(summary);
    if (promising != nullptr) {
      return fmt::format(
          "The search ended before it had judged a load that may hold the budget {}: a look at {} "
          "found nothing against it. Raise --search-max-s, or lower --concurrency-max.",
          budget.Text(), LoadText(*promising));
    }
    if (broken == nullptr) return "No request was answered, so the budget could not be judged.";
    return fmt::format("The budget {} cannot be met: already at {}, {}.", budget.Text(),
                       LoadText(*broken), TermsOf(budget, broken->verdict, true));
  }
  const LevelSummary& best = summary.levels[*summary.within_budget];
  std::string text =
      fmt::format("Within {}: {}, at {}: {}{}.", budget.Text(), Throughput(best), LoadText(best),
                  TermsOf(budget, best.verdict, false),
                  best.verdict.proven ? ""
                                      : fmt::format(" (seen in {}, too few to be sure of)",
                                                    Counted(best.verdict.judged, "request")));
  if (broken != nullptr) {
    text += fmt::format(" At {} it breaks: {}.", LoadText(*broken),
                        TermsOf(budget, broken->verdict, true));
  } else {
    text += " No load that was tried breaks it.";
  }
  return text;
}

std::string PlainAnswer(const RunSummary& summary) {
  const LevelSummary& highest = summary.levels[*summary.highest];
  return fmt::format("At most {}, at {}: {}.", Throughput(highest), LoadText(highest),
                     Latency(highest));
}

}  // namespace

std::string LoadText(const LevelSummary& level) {
  if (level.rate_per_s > 0) return Figure(level.rate_per_s) + " requests/s";
  return fmt::format("concurrency {}", level.concurrency);
}

std::string RemarkOf(const RunSummary& summary, std::size_t level) {
  std::string remark;
  const auto add = [&](std::optional<std::size_t> place, std::string_view word) {
    if (place != level) return;
    if (!remark.empty()) remark += ", ";
    remark += word;
  };
  add(summary.fastest, "fastest");
  add(summary.balanced, "balanced");
  add(summary.highest, "most throughput");
  add(summary.within_budget, "most within the budget");
  if (summary.levels[level].scout) {
    add(level, "looked at only");
    return remark;
  }
  const BudgetVerdict& verdict = summary.levels[level].verdict;
  if (verdict.judged > 0 && !verdict.passes) add(level, "over the budget");
  return remark;
}

std::string TermText(const BudgetTerm& term, const TermVerdict& verdict) {
  const std::string name = term.text.substr(0, term.text.find('<'));
  if (term.kind == BudgetTerm::Kind::kErrors) {
    return fmt::format("{} {}% (bound {}%)", name, Figure(100 * verdict.seen),
                       Figure(100 * (1 - term.quantile)));
  }
  if (std::isinf(verdict.seen)) {
    return fmt::format("{} has no value, since too many requests failed (bound {})", name,
                       DurationText(term.bound_ms));
  }
  std::string text =
      fmt::format("{} {} (bound {}", name, DurationText(verdict.seen), DurationText(term.bound_ms));
  if (verdict.seen > term.bound_ms) {
    text += fmt::format(": {:.0f} % over", std::max(100 * (verdict.seen / term.bound_ms - 1), 1.0));
  }
  return text + ")";
}

std::optional<Provision> Recommend(const RunSummary& summary) {
  const auto most = summary.budget.empty() ? summary.highest : summary.within_budget;
  if (!most) return std::nullopt;
  const auto total = [&summary](std::size_t level) {
    return summary.levels[level].best_rates().total_tokens_per_s;
  };
  return Recommend(total(*most), summary.balanced ? total(*summary.balanced) : 0,
                   summary.header.settings.throughput_chunk_size);
}

std::string RangeText(const Provision& provision) {
  const std::string least = Count(provision.min_tokens_per_s);
  if (provision.min_tokens_per_s == provision.max_tokens_per_s) return least;
  return fmt::format("{} to {}", least, Count(provision.max_tokens_per_s));
}

std::string ProvisionText(const Provision& provision) {
  if (provision.chunk <= 0) {
    return fmt::format(
        "To keep this load, provision {} tokens/s (input and output together; the endpoint told no "
        "chunk, so round up to its own).",
        RangeText(provision));
  }
  if (provision.min_tokens_per_s == provision.max_tokens_per_s) {
    return fmt::format(
        "To keep this load, set min_provisioned_throughput and max_provisioned_throughput to {} "
        "tokens/s ({} chunks of {}).",
        provision.max_tokens_per_s, provision.max_tokens_per_s / provision.chunk, provision.chunk);
  }
  return fmt::format(
      "To keep this load, set min_provisioned_throughput {} and max_provisioned_throughput {} "
      "tokens/s ({} to {} chunks of {}).",
      provision.min_tokens_per_s, provision.max_tokens_per_s,
      provision.min_tokens_per_s / provision.chunk, provision.max_tokens_per_s / provision.chunk,
      provision.chunk);
}

std::string AnswerWithoutProvision(const RunSummary& summary) {
  if (!summary.highest) return "No request succeeded, so there is no figure to give.";
  const bool budgeted = !summary.budget.empty();
  std::string text = budgeted ? BudgetAnswer(summary) : PlainAnswer(summary);
  const auto best = budgeted ? summary.within_budget : summary.highest;
  if (summary.balanced && summary.balanced != best) {
    const LevelSummary& level = summary.levels[*summary.balanced];
    text += fmt::format(" Balanced: {}, at {}: {}.", Throughput(level), LoadText(level),
                        Latency(level));
  }
  return text;
}

std::string Answer(const RunSummary& summary) {
  std::string text = AnswerWithoutProvision(summary);
  if (!summary.highest || summary.budget.empty()) return text;
  if (const auto provision = Recommend(summary)) text += " " + ProvisionText(*provision);
  return text;
}

}  // namespace penstock::bench
