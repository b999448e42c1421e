// One step of the engine.
#include "engine/stepper.h"

#include <algorithm>

#include "base/check.h"

namespace penstock::engine {

Status Stepper::WarmUp() {
  const TokenId token = 0;
  std::vector<SequencePart> parts;
  for (int slot = 0; slot < scheduler_.limits().slots; ++slot) {
    parts.push_back({slot, 0, std::span(&token, 1), true});
  }
  Status decoded = context_->Decode(parts);
  for (int slot = 0; slot < scheduler_.limits().slots; ++slot) context_->Clear(slot);
  return decoded;
}

void Stepper::Admit(Admitted admitted, std::vector<Event>& events) {
  const RequestId id = admitted.id;
  GenerationRequest& request = admitted.request;
  const Job job{.id = id,
                .prompt_tokens = static_cast<int>(request.prompt.size()),
                .output_tokens_max = admitted.embeds ? 0 : request.output_tokens_max};
  if (Status queued = scheduler_.Enqueue(job); !queued) {
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

void Stepper::Remove(RequestId id) {
  if (const auto slot = scheduler_.Remove(id)) context_->Clear(*slot);
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
    if (work.position == 0) sequence.started = now;
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
  if (Status decoded = context_->Decode(parts_); !decoded) {
    FailRunning(decoded.error(), events, counts);
    return true;
  }
  scheduler_.Advance();
  const TimePoint computed = Clock::now();
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
  const Tokenizer& tokenizer = model_.tokenizer();
  const bool must_continue = sequence.generation.MustContinue();
  const TokenId token = sequence.sampler.Sample(
      context_->Logits(part),
      must_continue ? tokenizer.end_of_generation_tokens() : std::span<const TokenId>(), scratch_);
  sequence.next = token;
  if (sequence.generation.tokens() == 0) sequence.first_token = now;
  ++counts.completion_tokens;
  event.tokens = 1;
  const auto reason = sequence.generation.Accept(tokenizer.Piece(token),
                                                 tokenizer.IsEndOfGeneration(token), event.text);
  if (!reason) return;
  Finish(sequence, *reason, now, event);
  ++counts.finished;
  Remove(id);
}

void Stepper::Finish(Sequence& sequence, FinishReason reason, TimePoint now, Event& event) {
  event.end = Event::End::kFinished;
  event.finish_reason = reason;
  event.usage = {.prompt_tokens = static_cast<int>(sequence.admitted.request.prompt.size()),
                 .completion_tokens = sequence.generation.tokens(),
                 .queue = sequence.started - sequence.admitted.submitted,
                 .prefill = sequence.first_token - sequence.started,
                 .decode = now - sequence.first_token};
}

// A step that failed leaves the cells of its sequences undefined: they end here, the others go on.
void Stepper::FailRunning(const Error& error, std::vector<Event>& events, StepCounts& counts) {
  for (const Work& work : work_) {
    events.push_back({.id = work.id, .end = Event::End::kFailed, .error = error});
    ++counts.failed;
    Remove(work.id);
  }
}

}  // namespace penstock::engine
