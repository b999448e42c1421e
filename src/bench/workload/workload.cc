#include "bench/workload/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/check.h"
#include "base/random.h"

namespace penstock::bench {
namespace {

// Twelve decimal digits: tokenizers cut numbers by digits or by groups of three, so that every salt
// costs the same number of tokens.
constexpr std::uint64_t kSalts = 1'000'000'000'000;
// Coprime to kSalts, so that id → salt is one to one; large, so that neighbours differ at the
// front.
constexpr std::uint64_t kSaltStep = 618'033'988'751;

// A monotone count is found in far fewer; a server whose counts follow no rule must not be asked
// for ever.
constexpr int kObservationsMax = 24;

// Shorter texts say nothing about the bytes of a token.
constexpr std::size_t kTextBytesMin = 64;

constexpr std::string_view kClosing =
    "\n\nContinue the text above at length, in the same style, without repeating it.";

}  // namespace

void PromptFitter::Suggest(TextRatio ratio) {
  if (!below_ && !above_) ratio_ = ratio;
}

void PromptFitter::Keep(Point point) {
  if (point.tokens < target_) {
    if (!below_ || point.bytes > below_->bytes) below_ = point;
    // More text with fewer tokens: the count wavers (a salt, a merge at the border). The later
    // observation is believed.
    if (above_ && above_->bytes <= point.bytes) above_.reset();
  } else {
    if (!above_ || point.bytes < above_->bytes) above_ = point;
    if (below_ && below_->bytes >= point.bytes) below_.reset();
  }
}

void PromptFitter::Observe(std::size_t bytes, int tokens) {
  if (settled_) return;
  // A cut at a character's border may fall back to a length already tried.
  const bool tried = (below_ && below_->bytes == bytes) || (above_ && above_->bytes == bytes);
  Keep({bytes, tokens});
  settled_ = tried || ++observed_ >= kObservationsMax || std::abs(tokens - target_) <= tolerance_ ||
             (below_ && above_ && above_->bytes - below_->bytes <= 1);
}

const PromptFitter::Point* PromptFitter::Closest() const {
  if (!below_ || !above_) return below_ ? &*below_ : above_ ? &*above_ : nullptr;
  return target_ - below_->tokens <= above_->tokens - target_ ? &*below_ : &*above_;
}

std::optional<int> PromptFitter::error_tokens() const {
  const Point* closest = Closest();
  if (closest == nullptr) return std::nullopt;
  return std::abs(closest->tokens - target_);
}

std::size_t PromptFitter::Propose() const {
  const Point* closest = Closest();
  if (settled_) return closest->bytes;
  double bytes = 0;
  if (below_ && above_) {
    const auto width = static_cast<double>(above_->bytes - below_->bytes);
    const double share = static_cast<double>(target_ - below_->tokens) /
                         static_cast<double>(above_->tokens - below_->tokens);
    bytes =
        std::clamp(std::round(static_cast<double>(below_->bytes) + share * width),
                   static_cast<double>(below_->bytes + 1), static_cast<double>(above_->bytes - 1));
  } else if (closest != nullptr) {
    // A guess from elsewhere that is far from what was seen here is none.
    const double text_tokens = std::max(closest->tokens - ratio_.overhead_tokens, 1.0);
    const double seen = static_cast<double>(closest->bytes) / text_tokens;
    const bool far = seen > 1.5 * ratio_.bytes_per_token || 1.5 * seen < ratio_.bytes_per_token;
    const double each = closest->bytes >= kTextBytesMin && far ? seen : ratio_.bytes_per_token;
    bytes = static_cast<double>(closest->bytes) + (target_ - closest->tokens) * each;
  } else {
    bytes = (target_ - ratio_.overhead_tokens) * ratio_.bytes_per_token;
  }
  const double most = static_cast<double>(kBytesPerTokenMax) * target_;
  return static_cast<std::size_t>(std::clamp(std::round(bytes), 1.0, most));
}

PromptPool::PromptPool(const Corpus& corpus, PoolSettings settings)
    : corpus_(&corpus), settings_(settings) {
  CHECK(settings.bodies >= 1, "a pool needs at least one body");
  Random random(settings.seed);
  // Evenly apart from a seeded start, so that bodies share as little text as the corpus allows.
  const std::size_t start = random.Below(corpus.size());
  for (int body = 0; body < settings.bodies; ++body) {
    offsets_.push_back(start + corpus.size() * static_cast<std::size_t>(body) /
                                   static_cast<std::size_t>(settings.bodies));
    fitters_.emplace_back(settings.input_tokens, TextRatio{});
  }
}

std::string PromptPool::Salt(std::uint64_t id) const {
  const auto product = static_cast<Wide>(id % kSalts) * kSaltStep;
  const auto step = static_cast<std::uint64_t>(product % kSalts);
  const std::uint64_t offset = Random(settings_.salt).Next() % kSalts;
  return fmt::format("{:012}", (step + offset) % kSalts);
}

Prompt PromptPool::Make(std::uint64_t id) const {
  Random random(settings_.seed ^ (id * 0x9E3779B97F4A7C15u));
  return MakeWithBody(id, static_cast<int>(random.Below(fitters_.size())));
}

Prompt PromptPool::MakeWithBody(std::uint64_t id, int body) const {
  const auto index = static_cast<std::size_t>(body);
  const std::string cut = corpus_->Cut(offsets_[index], fitters_[index].Propose());
  return {.text = fmt::format("{} {}{}", Salt(id), cut, kClosing),
          .body = body,
          .body_bytes = cut.size()};
}

void PromptPool::Observe(const Prompt& prompt, int tokens) {
  PromptFitter& fitter = fitters_[static_cast<std::size_t>(prompt.body)];
  fitter.Observe(prompt.body_bytes, tokens);
  // One body's count is the best guess for those not tried yet.
  if (tokens <= 0 || prompt.body_bytes < kTextBytesMin) return;
  const double text_tokens = std::max(tokens - TextRatio{}.overhead_tokens, 1.0);
  const TextRatio learned{.bytes_per_token = static_cast<double>(prompt.body_bytes) / text_tokens};
  for (PromptFitter& other : fitters_) other.Suggest(learned);
}

int PromptPool::settled() const {
  return static_cast<int>(std::ranges::count_if(fitters_, &PromptFitter::settled));
}

std::optional<int> PromptPool::NextToProbe() const {
  std::optional<int> worst;
  int worst_error = -1;
  for (int body = 0; body < bodies(); ++body) {
    const PromptFitter& fitter = fitters_[static_cast<std::size_t>(body)];
    if (fitter.settled()) continue;
    const int error = fitter.error_tokens().value_or(INT32_MAX);
    if (error > worst_error) {
      worst = body;
      worst_error = error;
    }
  }
  return worst;
}

std::optional<int> PromptPool::worst_error_tokens() const {
  std::optional<int> worst;
  for (const PromptFitter& fitter : fitters_) {
    if (const auto error = fitter.error_tokens()) worst = std::max(worst.value_or(0), *error);
  }
  return worst;
}

}  // namespace penstock::bench
