#include "bench/workload/composer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/random.h"

namespace penstock::bench {
namespace {

constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;
constexpr std::uint64_t kSalts = 1'000'000'000'000;  // Twelve digits, as PromptPool's.
// Another one than PromptPool's, and coprime to kSalts like it.
constexpr std::uint64_t kSaltStep = 381'966'011'251;

// What the guess weighs against one observation.
constexpr double kGuessWeight = 0.02;

// For a turn that is cut from the corpus.
constexpr std::string_view kClosing = "\n\nContinue the text above at length, in the same style.";

std::size_t BytesOf(const Messages& messages) {
  std::size_t bytes = 0;
  for (const Message& message : messages) bytes += message.text.size();
  return bytes;
}

}  // namespace

TextRatio TokenLine::Ratio() const {
  // Two points on the guessed line, far apart.
  const TextRatio guess;
  double weight = weight_;
  double bytes = bytes_;
  double tokens = tokens_;
  double squares = bytes_squared_;
  double products = bytes_tokens_;
  for (const double x : {100.0, 10'000.0}) {
    const double y = guess.overhead_tokens + x / guess.bytes_per_token;
    weight += kGuessWeight;
    bytes += kGuessWeight * x;
    tokens += kGuessWeight * y;
    squares += kGuessWeight * x * x;
    products += kGuessWeight * x * y;
  }
  const double spread = squares - bytes * bytes / weight;
  const double slope = (products - bytes * tokens / weight) / spread;
  // Counts that follow no rule must not make prompts endless.
  const double tokens_per_byte = std::clamp(slope, 1.0 / kBytesPerTokenMax, 4.0);
  const double overhead = std::max((tokens - tokens_per_byte * bytes) / weight, 0.0);
  return {.bytes_per_token = 1 / tokens_per_byte, .overhead_tokens = overhead};
}

void TokenLine::Observe(double bytes, double tokens) {
  // The later ones weigh more: about the last thousand count.
  constexpr double kFade = 0.999;
  weight_ = weight_ * kFade + 1;
  bytes_ = bytes_ * kFade + bytes;
  tokens_ = tokens_ * kFade + tokens;
  bytes_squared_ = bytes_squared_ * kFade + bytes * bytes;
  bytes_tokens_ = bytes_tokens_ * kFade + bytes * tokens;
}

std::size_t TokenLine::BytesFor(double tokens) const {
  const TextRatio ratio = Ratio();
  return static_cast<std::size_t>(
      std::max(std::round((tokens - ratio.overhead_tokens) * ratio.bytes_per_token), 1.0));
}

double TokenLine::TokensOf(double bytes) const {
  const TextRatio ratio = Ratio();
  return ratio.overhead_tokens + bytes / ratio.bytes_per_token;
}

std::size_t TokenLine::BytesOfPiece(double tokens) const {
  return static_cast<std::size_t>(std::max(std::round(tokens * Ratio().bytes_per_token), 1.0));
}

Composer::Composer(const Corpus& corpus, ComposerSettings settings)
    : corpus_(&corpus), settings_(std::move(settings)) {
  CHECK(!settings_.mix.parts.empty(), "a mix has at least one part");
  salt_offset_ = Random(settings_.salt).Next() % kSalts;
  std::uint64_t seed = settings_.seed;
  for (const WorkloadPart& part : settings_.mix.parts) {
    const bool pooled = part.input.fixed() >= kInputTokensMin && part.prefix_share <= 0 &&
                        part.turns.fixed() == 1 && part.data == nullptr && settings_.salted;
    if (!pooled) {
      pool_of_part_.emplace_back();
      continue;
    }
    pool_of_part_.emplace_back(pools_.size());
    pools_.emplace_back(corpus, PoolSettings{.input_tokens = part.input.fixed(),
                                             .bodies = settings_.bodies,
                                             .seed = seed++,
                                             .salt = settings_.salt});
  }
  if (!pools_.empty()) return;
  const int middle = std::clamp(settings_.mix.parts.front().input.median(), kInputTokensMin, 2048);
  pools_.emplace_back(
      corpus,
      PoolSettings{.input_tokens = middle, .bodies = 2, .seed = seed, .salt = settings_.salt});
}

RequestPlan Composer::PlanOf(std::uint64_t id) const {
  Random random(Random(settings_.seed + id * kGolden).Next());
  const auto& parts = settings_.mix.parts;
  double all = 0;
  for (const WorkloadPart& part : parts) all += part.weight;
  double at = random.Uniform() * all;
  RequestPlan plan{.id = id};
  while (plan.part + 1 < parts.size() && at >= parts[plan.part].weight) {
    at -= parts[plan.part].weight;
    ++plan.part;
  }
  const WorkloadPart& part = parts[plan.part];
  plan.input_tokens = part.input.Draw(random);
  plan.output_tokens = part.output.Draw(random);
  plan.turns = std::min(part.turns.Draw(random), kTurnsMax);
  if (random.Uniform() < part.prefix_share) {
    plan.prefix = static_cast<int>(random.Below(static_cast<std::uint64_t>(part.prefixes)));
    plan.prefix_tokens = part.prefix_tokens;
  }
  return plan;
}

RequestPlan Composer::PlanOf(std::uint64_t id, const Due& due, std::span<const std::int64_t> blocks,
                             int block_tokens) const {
  RequestPlan plan = PlanOf(id);
  if (due.input_tokens > 0) {
    plan.input_tokens = due.input_tokens;
    plan.turns = 1;
    plan.prefix = -1;
    plan.prefix_tokens = 0;
  }
  if (due.output_tokens > 0) plan.output_tokens = due.output_tokens;
  plan.blocks = blocks;
  plan.block_tokens = block_tokens;
  return plan;
}

std::string Composer::Salt(std::uint64_t id) const {
  const auto product = static_cast<Wide>(id % kSalts) * kSaltStep;
  const auto step = static_cast<std::uint64_t>(product % kSalts);
  return fmt::format("{:012}", (step + salt_offset_) % kSalts);
}

std::string Composer::Text(std::uint64_t seed, std::size_t bytes) const {
  return corpus_->Cut(Random(seed * kGolden + settings_.seed).Below(corpus_->size()), bytes);
}

// Unlike the salts of requests, whose first letter is a digit.
std::string Composer::Prefix(const RequestPlan& plan) const {
  const auto number = static_cast<std::uint64_t>(plan.prefix) + (plan.part << 32);
  const std::string salt =
      settings_.salted ? fmt::format("p{} ", Salt(number)) : fmt::format("p{} ", plan.prefix);
  const std::size_t bytes = fitted_line_.BytesOfPiece(plan.prefix_tokens);
  return salt + Text(number ^ 0x70726566u, bytes > salt.size() ? bytes - salt.size() : 1);
}

// Equal ids make equal text; what comes first differs first, so that a prefix is shared as far as
// the ids agree.
std::string Composer::BlockText(const RequestPlan& plan) const {
  std::string text;
  int left = plan.input_tokens;
  for (const std::int64_t block : plan.blocks) {
    if (left <= 0) break;
    const int tokens = std::min(left, plan.block_tokens);
    left -= tokens;
    const std::size_t bytes = fitted_line_.BytesOfPiece(tokens);
    const auto number = static_cast<std::uint64_t>(block);
    const std::string salt = fmt::format("b{} ", Salt(number));
    text += salt;
    // A short last block of the same id must be the beginning of the long one.
    text += Text(number, bytes > salt.size() ? bytes - salt.size() : 1);
  }
  return text;
}

Messages Composer::Opening(const RequestPlan& plan, Turn& turn) const {
  const WorkloadPart& part = settings_.mix.parts[plan.part];
  Messages messages;
  if (plan.prefix >= 0) {
    messages.push_back({.role = Message::Role::kSystem, .text = Prefix(plan)});
  }
  if (part.data != nullptr) {
    // A walk through all items before any comes again, from a place that the seed chooses.
    const std::uint64_t count = part.data->items.size();
    const DataItem& item =
        part.data->items[(plan.id + Random(settings_.seed).Below(count)) % count];
    if (item.output_tokens > 0) turn.output_tokens = item.output_tokens;
    Messages opening = item.opening;
    if (settings_.salted) opening.front().text = Salt(plan.id) + " " + opening.front().text;
    std::ranges::move(opening, std::back_inserter(messages));
    // Nobody asked for a length: what the line expects is the best guess.
    turn.input_tokens = static_cast<int>(line_.TokensOf(static_cast<double>(BytesOf(messages))));
    return messages;
  }
  if (!plan.blocks.empty()) {
    messages.push_back({.text = BlockText(plan)});
    return messages;
  }
  const std::string salt = settings_.salted ? Salt(plan.id) + " " : std::string();
  const std::size_t around = salt.size() + kClosing.size();
  const std::size_t bytes = line_.BytesFor(plan.input_tokens);
  const std::uint64_t seed = settings_.salted ? plan.id : plan.id % 64;
  std::string text = salt + Text(seed, bytes > around ? bytes - around : 1);
  if (bytes > 4 * kClosing.size()) text += kClosing;
  messages.push_back({.text = std::move(text)});
  return messages;
}

Composer::Turn Composer::First(const RequestPlan& plan) const {
  Turn turn{.input_tokens = plan.input_tokens + plan.prefix_tokens,
            .output_tokens = plan.output_tokens};
  // A trace's lengths are not the pool's.
  const auto pool = pool_of_part_[plan.part];
  const bool pooled = pool && plan.blocks.empty() &&
                      plan.input_tokens == settings_.mix.parts[plan.part].input.fixed();
  if (pooled) {
    Prompt prompt = pools_[*pool].Make(plan.id);
    turn.body = prompt.body;
    turn.body_bytes = prompt.body_bytes;
    turn.bytes = prompt.text.size();
    turn.messages.push_back({.text = std::move(prompt.text)});
    return turn;
  }
  turn.messages = Opening(plan, turn);
  turn.bytes = BytesOf(turn.messages);
  return turn;
}

Composer::Turn Composer::Next(const RequestPlan& plan, int number, Messages messages,
                              int input_before) const {
  const WorkloadPart& part = settings_.mix.parts[plan.part];
  Random random(
      Random(settings_.seed + plan.id * kGolden + static_cast<std::uint64_t>(number)).Next());
  const int added = part.input.Draw(random);
  Turn turn{.messages = std::move(messages),
            .input_tokens = input_before + added,
            .output_tokens = part.output.Draw(random)};
  std::string text;
  if (part.data != nullptr) {
    const std::uint64_t count = part.data->items.size();
    const DataItem& item =
        part.data->items[(plan.id + Random(settings_.seed).Below(count)) % count];
    const auto place = static_cast<std::size_t>(number) - 2;
    text = place < item.later.size() ? item.later[place] : "Please go on.";
  } else {
    text = Text(plan.id + static_cast<std::uint64_t>(number) * kGolden, line_.BytesOfPiece(added));
  }
  turn.messages.push_back({.text = std::move(text)});
  turn.bytes = BytesOf(turn.messages);
  return turn;
}

void Composer::Observe(const Turn& turn, int input_tokens) {
  if (input_tokens <= 0) return;
  if (turn.body >= 0) {
    for (std::size_t part = 0; part < pool_of_part_.size(); ++part) {
      const auto pool = pool_of_part_[part];
      if (pool && settings_.mix.parts[part].input.fixed() == turn.input_tokens) {
        pools_[*pool].Observe({.text = {}, .body = turn.body, .body_bytes = turn.body_bytes},
                              input_tokens);
        break;
      }
    }
  }
  line_.Observe(static_cast<double>(turn.bytes), input_tokens);
}

void Composer::ObserveFit(const FitPoint& point) {
  if (point.tokens <= 0 || point.body >= pool().bodies()) return;
  fit_points_.push_back(point);
  if (point.body >= 0) {
    pool().Observe({.text = {}, .body = point.body, .body_bytes = point.body_bytes}, point.tokens);
  }
  line_.Observe(static_cast<double>(point.text_bytes), point.tokens);
  fitted_line_ = line_;
}

double Composer::tokens_mean() const {
  double weights = 0;
  double tokens = 0;
  for (const WorkloadPart& part : settings_.mix.parts) {
    weights += part.weight;
    tokens += part.weight *
              (part.input.mean() + part.output.mean() + part.prefix_share * part.prefix_tokens);
  }
  return tokens / weights;
}

}  // namespace penstock::bench
