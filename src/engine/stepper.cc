// One step of the engine.
#include "engine/stepper.h"

#include <time.h>

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/check.h"

namespace penstock::engine {
namespace {

constexpr int kWarmUpTokensMax = 256;

// Processor time of the calling thread.
Duration ThreadTime() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

Stepper::Stepper(const Model& model, std::unique_ptr<Context> context, SchedulerLimits limits,
                 std::size_t prefix_bytes_max, int threads)
    : model_(model),
      context_(std::move(context)),
      prefixes_(*context_, limits.slots, prefix_bytes_max,
                [this](RequestId id) -> std::span<const TokenId> {
                  return sequences_.at(id)->admitted.request.prompt;
                }),
      scheduler_(limits, &prefixes_),
      threads_(threads) {}

Status Stepper::WarmUp() {
  const SchedulerLimits& limits = scheduler_.limits();
  if (Status first = WarmUpWith(limits.slots, 1); !first || limits.whole_prompts) return first;
  const int most = std::min({limits.step_tokens_max, limits.slot_tokens_max, kWarmUpTokensMax});
  for (const auto& [sequences, tokens] : std::initializer_list<std::pair<int, int>>{
           {limits.slots, 1}, {1, 1}, {1, most / 16}, {1, most / 4}, {1, most}}) {
    if (Status warm = WarmUpWith(sequences, std::max(tokens, 1)); !warm) return warm;
  }
  return {};
}

// Computes and forgets `tokens` tokens in each of the first `sequences` slots.
Status Stepper::WarmUpWith(int sequences, int tokens) {
  const std::vector<TokenId> prompt(static_cast<std::size_t>(tokens), 0);
  std::vector<SequencePart> parts;
  for (int slot = 0; slot < sequences; ++slot) {
    parts.push_back({slot, 0, prompt, true});
    context_->Expect(slot, tokens);
  }
  const TimePoint begin = Clock::now();
  Status decoded = context_->Decode(parts);
  const Duration took = Clock::now() - begin;
  for (int slot = 0; slot < sequences; ++slot) context_->Clear(slot);
  StepShape shape;
  if (tokens == 1) {
    shape = {.decodes = sequences, .decode_cells = sequences};
  } else {
    shape = {.prefill_tokens = tokens,
             .prefill_cells = static_cast<std::int64_t>(tokens) * (tokens + 1) / 2};
  }
  // The first batch of all makes buffers and reads the weights from the disk: it teaches nothing.
  if (std::exchange(warm_, true)) scheduler_.Learn(shape, took);
  return decoded;
}

void Stepper::Admit(Admitted admitted, std::vector<Event>& events) {
  const RequestId id = admitted.id;
  GenerationRequest& request = admitted.request;
  const Job job{.id = id,
                .prompt_tokens = static_cast<int>(request.prompt.size()),
                .output_tokens_max = admitted.embeds ? 0 : request.output_tokens_max,
                .caller = request.caller,
                .deadline = request.deadline};
  if (Status queued = scheduler_.Enqueue(job, admitted.submitted); !queued) {
    events.push_back({.id = id, .end = Event::End::kFailed, .error = queued.error()});
    return;
  }
  Sampler sampler(std::move(request.sampling), admitted.seed, request.prompt);
  Generation generation({.output_tokens_max = request.output_tokens_max,
                         .output_tokens_min = request.output_tokens_min,
                         .ignore_end_of_generation = request.ignore_end_of_generation},
                        std::move(request.stops));
  sequences_.emplace(id, std::make_unique<Sequence>(std::move(admitted), std::move(sampler),
                                                    std::move(generation)));
}

void Stepper::Cancel(RequestId id) {
  if (sequences_.contains(id)) Remove(id);
}

void Stepper::Remove(RequestId id, bool undefined) {
  if (const auto slot = scheduler_.Remove(id)) {
    prefixes_.Ended(*slot);
    if (undefined) prefixes_.Forget(*slot);
  }
  sequences_.erase(id);
}

// Turns the plan into spans of tokens.
void Stepper::Gather(TimePoint now) {
  work_ = scheduler_.Plan();
  parts_.clear();
  in_step_.clear();
  for (const Work& work : work_) {
    const auto found = sequences_.find(work.id);
    CHECK(found != sequences_.end(), "whoever is scheduled is known");
    Sequence& sequence = *found->second;
    if (sequence.started == TimePoint{}) {
      sequence.started = now;
      sequence.cached = work.position;
      context_->Expect(work.slot,
                       static_cast<int>(sequence.admitted.request.prompt.size()) - work.position);
    }
    const std::span<const TokenId> tokens =
        work.decoding ? std::span<const TokenId>(&sequence.next, 1)
                      : std::span<const TokenId>(sequence.admitted.request.prompt)
                            .subspan(static_cast<std::size_t>(work.position),
                                     static_cast<std::size_t>(work.tokens));
    parts_.push_back({work.slot, work.position, tokens, work.wants_output});
    in_step_.push_back(&sequence);
  }
}

bool Stepper::Step(TimePoint now, std::vector<Event>& events, StepCounts& counts) {
  Gather(now);
  if (parts_.empty()) return false;
  counts.plan = scheduler_.step();
  context_->UseThreads(threads_.threads());
  const Duration thread_begin = ThreadTime();
  const TimePoint begin = Clock::now();
  Status decoded = context_->Decode(parts_);
  const TimePoint computed = Clock::now();
  counts.computing = computed - begin;
  threads_.Note(computed, counts.computing, ThreadTime() - thread_begin);
  if (!decoded) {
    FailRunning(decoded.error(), events, counts);
    return true;
  }
  scheduler_.Advance(computed - now);
  for (std::size_t i = 0; i < work_.size(); ++i) {
    prefixes_.Computed(work_[i].slot, parts_[i].tokens);
  }
  for (std::size_t i = 0; i < work_.size(); ++i) {
    if (!work_[i].decoding) counts.prompt_tokens += static_cast<std::uint64_t>(work_[i].tokens);
    if (work_[i].wants_output) {
      Draw(static_cast<int>(i), *in_step_[i], computed, events, counts);
    }
  }
  return true;
}

void Stepper::Draw(int part, Sequence& sequence, TimePoint now, std::vector<Event>& events,
                   StepCounts& counts) {
  const RequestId id = sequence.admitted.id;
  Event& event = events.emplace_back(Event{.id = id});
  if (sequence.admitted.embeds) {
    event.end = Event::End::kEmbedded;
    event.embedding = {context_->Embedding(part),
                       static_cast<int>(sequence.admitted.request.prompt.size())};
    ++counts.finished;
    return Remove(id);
  }
  const std::optional<int>& top = sequence.admitted.request.top_likelihoods;
  if (top) {
    const std::span<const float> logits = context_->Logits(part);
    scratch_.raw.assign(logits.begin(), logits.end());
  }
  if (sequence.generation.tokens() == 0) sequence.first_token = now;
  const std::optional<TokenId> drawn = Choose(part, sequence);
  if (!drawn) {
    EndWithoutToken(sequence, now, event, counts);
    return Remove(id);
  }
  const TokenId token = *drawn;
  sequence.next = token;
  if (top) event.likelihood = LikelihoodOf(scratch_.raw, token, *top, scratch_);
  ++counts.completion_tokens;
  event.tokens = 1;
  const auto reason = sequence.generation.Accept(
      PieceOf(sequence, token), model_.tokenizer().IsEndOfGeneration(token), event.text);
  if (!reason) return;
  Finish(sequence, *reason, now, event);
  ++counts.finished;
  Remove(id);
}

// The next token; nullopt where the grammar leaves none.
std::optional<TokenId> Stepper::Choose(int part, Sequence& sequence) {
  const std::span<const TokenId> ends = model_.tokenizer().end_of_generation_tokens();
  const auto banned = sequence.generation.MustContinue() ? ends : std::span<const TokenId>();
  const std::span<float> logits = context_->Logits(part);
  const auto& grammar = sequence.admitted.grammar;
  if (!grammar) return sequence.sampler.Sample(logits, banned, scratch_);
  const auto token = sequence.sampler.Sample(logits, banned, *grammar, scratch_);
  if (token) grammar->Accept(*token);
  return token;
}

// The grammar is at its end, or the vocabulary has nothing that would continue it.
void Stepper::EndWithoutToken(Sequence& sequence, TimePoint now, Event& event, StepCounts& counts) {
  if (sequence.admitted.grammar->MayEnd()) {
    sequence.generation.End(event.text);
    Finish(sequence, FinishReason::kStop, now, event);
    ++counts.finished;
    return;
  }
  event.end = Event::End::kFailed;
  event.error = {Code::kUnsupported,
                 "the model's vocabulary has no token that the format asked for allows here",
                 "response_format"};
  ++counts.failed;
}

std::string_view Stepper::PieceOf(const Sequence& sequence, TokenId token) {
  const auto& written = sequence.admitted.request.written_specials;
  if (std::ranges::find(written, token) == written.end()) return model_.tokenizer().Piece(token);
  special_ = model_.tokenizer().SpecialPiece(token);
  return special_;
}

void Stepper::Finish(Sequence& sequence, FinishReason reason, TimePoint now, Event& event) {
  event.end = Event::End::kFinished;
  event.finish_reason = reason;
  event.usage = {.prompt_tokens = static_cast<int>(sequence.admitted.request.prompt.size()),
                 .cached_tokens = sequence.cached,
                 .completion_tokens = sequence.generation.tokens(),
                 .queue = sequence.started - sequence.admitted.submitted,
                 .prefill = sequence.first_token - sequence.started,
                 .decode = now - sequence.first_token};
}

void Stepper::DescribeSlots(TimePoint now, std::vector<SlotState>& slots) const {
  slots.assign(static_cast<std::size_t>(scheduler_.limits().slots), {});
  for (int i = 0; i < scheduler_.limits().slots; ++i) {
    SlotState& slot = slots[static_cast<std::size_t>(i)];
    slot.cells = prefixes_.Cells(i);
    const auto found = sequences_.find(scheduler_.JobOf(i));
    if (found == sequences_.end()) continue;
    const Sequence& sequence = *found->second;
    const GenerationRequest& request = sequence.admitted.request;
    slot.id = found->first;
    slot.prompt_tokens = static_cast<int>(request.prompt.size());
    slot.cached_tokens = sequence.cached;
    slot.output_tokens = sequence.generation.tokens();
    slot.output_tokens_max = request.output_tokens_max;
    slot.age = now - sequence.admitted.submitted;
    slot.phase = scheduler_.Position(i) < slot.prompt_tokens ? SlotState::Phase::kPrefill
                                                             : SlotState::Phase::kDecode;
  }
}

// A step that failed leaves the cells of its sequences undefined: they end here, the others go on.
void Stepper::FailRunning(const Error& error, std::vector<Event>& events, StepCounts& counts) {
  for (const Work& work : work_) {
    events.push_back({.id = work.id, .end = Event::End::kFailed, .error = error});
    ++counts.failed;
    Remove(work.id, true);
  }
}

}  // namespace penstock::engine
