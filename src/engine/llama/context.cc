// Slots and lanes.
#include "engine/llama/context.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace penstock::engine {
namespace {

// How decoding is timed at the start, with flash attention and without.
constexpr int kDecodesTimed = 5;
constexpr int kCellsTimed = 1024;
constexpr std::size_t kBytesTimed = std::size_t{128} << 20;
constexpr double kFlashWorthShare = 0.98;

bool WantsLanes(const Model& model, const ContextOptions& options) {
  const bool asked = options.flash_attention == FlashAttention::kPrompts ||
                     (options.flash_attention == FlashAttention::kAuto && model.gpu_layers() == 0);
  return asked && model.info().task == ModelTask::kGenerate && model.info().keeps_partial &&
         options.tokens_per_sequence >= 2 * Context::kLaneTokensMin;
}

ComputeOptions OptionsFor(const ContextOptions& options, int sequences, bool flash_attention) {
  return {.sequences = sequences,
          .tokens_per_sequence = options.tokens_per_sequence,
          .step_tokens_max = options.step_tokens_max,
          .micro_batch = options.micro_batch,
          .threads = options.threads,
          .flash_attention = flash_attention};
}

}  // namespace

Context::Context(const ContextOptions& options, int threads)
    : options_(options),
      threads_(threads),
      lane_of_(static_cast<std::size_t>(options.sequences), -1) {}

Result<std::unique_ptr<Context>> Context::Create(const Model& model,
                                                 const ContextOptions& options) {
  const bool wants_lanes = WantsLanes(model, options);
  std::unique_ptr<Context> context(new Context(options, options.threads));
  const bool flash = options.flash_attention == FlashAttention::kOn ||
                     (options.flash_attention == FlashAttention::kAuto && model.gpu_layers() > 0);
  auto slots = ComputeContext::Create(model, OptionsFor(options, options.sequences, flash),
                                      context->threads_);
  if (!slots) return Fail(std::move(slots.error()));
  context->slots_ = *std::move(slots);
  if (model.info().task != ModelTask::kGenerate || !model.info().keeps_partial) return context;
  if (const Status found = context->FindShape(); !found) {
    Log().warn("engine: {}; prefixes are shared within a slot only", found.error().message);
    return context;
  }
  if (!wants_lanes) return context;
  if (const Status made = context->MakeLanes(model); !made) {
    context->lanes_ = nullptr;
    Log().warn("engine: {}; long prompts are computed without flash attention",
               made.error().message);
    return context;
  }
  if (options.flash_attention == FlashAttention::kPrompts) return context;
  if (Status chosen = context->UnifyIfFaster(model); !chosen) return Fail(chosen.error());
  return context;
}

// Computes a few cells, and looks how llama.cpp hands them out.
Status Context::FindShape() {
  const TokenId tokens[] = {0, 0, 0};
  const SequencePart part{0, 0, tokens, true};
  if (Status computed = slots_->Compute({&part, 1}); !computed) return computed;
  auto state = slots_->Read(0);
  slots_->Truncate(0, 0);
  if (!state) return Fail(state.error());
  shape_ = state->shape;
  return {};
}

Status Context::MakeLanes(const Model& model) {
  const int lanes = std::min(kLanesMax, options_.sequences);
  auto made = ComputeContext::Create(model, OptionsFor(options_, lanes, true), threads_);
  if (!made) return Fail(made.error());
  lanes_ = *std::move(made);
  const TokenId tokens[] = {0, 0, 0};
  const SequencePart part{0, 0, tokens, true};
  if (Status computed = lanes_->Compute({&part, 1}); !computed) return computed;
  auto state = lanes_->Read(0);
  lanes_->Truncate(0, 0);
  if (!state) return Fail(state.error());
  if (state->shape != *shape_) {
    return Fail(Code::kUnsupported, "cells with flash attention are shaped otherwise");
  }
  return {};
}

// The least time of a few decodes behind these cells.
Result<Duration> Context::TimeOfDecode(ComputeContext& context, std::span<const CellPiece> pieces) {
  const int sequences = std::min(kLanesMax, options_.sequences);
  const TokenId token = 0;
  std::vector<SequencePart> parts;
  for (int i = 0; i < sequences; ++i) {
    if (Status written = context.Write(i, *shape_, pieces); !written) return Fail(written.error());
    parts.push_back({i, pieces.front().used, std::span(&token, 1), true});
  }
  Duration least = Duration::max();
  for (int i = 0; i < kDecodesTimed; ++i) {
    const TimePoint begin = Clock::now();
    if (Status computed = context.Compute(parts); !computed) return Fail(computed.error());
    least = std::min(least, Clock::now() - begin);
    for (SequencePart& part : parts) ++part.position;
  }
  for (int i = 0; i < sequences; ++i) context.Truncate(i, 0);
  return least;
}

// Flash attention everywhere, and no lanes, where it does not slow decoding down.
Status Context::UnifyIfFaster(const Model& model) {
  const int cells = std::min({kCellsTimed, options_.tokens_per_sequence - kDecodesTimed,
                              static_cast<int>(kBytesTimed / shape_->cell_bytes())});
  if (cells < kLaneTokensMin) return {};
  const std::vector<std::uint8_t> zeros(shape_->cell_bytes() * static_cast<std::size_t>(cells));
  const CellPiece piece{zeros, cells, cells};
  const auto plain = TimeOfDecode(*slots_, {&piece, 1});
  if (!plain) return Fail(plain.error());
  const auto flash = TimeOfDecode(*lanes_, {&piece, 1});
  if (!flash) return Fail(flash.error());
  Log().info("engine: decoding behind {} tokens takes {:.2f} ms, with flash attention {:.2f} ms",
             cells, Milliseconds(*plain), Milliseconds(*flash));
  if (Seconds(*flash) > kFlashWorthShare * Seconds(*plain)) return {};
  slots_ = nullptr;  // Its memory first.
  lanes_ = nullptr;
  auto slots =
      ComputeContext::Create(model, OptionsFor(options_, options_.sequences, true), threads_);
  if (!slots) return Fail(slots.error());
  slots_ = *std::move(slots);
  return {};
}

Status Context::Decode(std::span<const SequencePart> parts) {
  slot_parts_.clear();
  lane_parts_.clear();
  places_.clear();
  for (const SequencePart& part : parts) {
    const int lane = lane_of_[static_cast<std::size_t>(part.sequence)];
    std::vector<SequencePart>& to = lane >= 0 ? lane_parts_ : slot_parts_;
    places_.push_back({lane >= 0, static_cast<int>(to.size())});
    to.push_back(part);
    if (lane >= 0) to.back().sequence = lane;
  }
  if (!slot_parts_.empty()) {
    if (Status computed = slots_->Compute(slot_parts_); !computed) return computed;
  }
  if (lane_parts_.empty()) return {};
  if (Status computed = lanes_->Compute(lane_parts_); !computed) return computed;
  for (const SequencePart& part : parts) {
    if (!part.wants_output || lane_of_[static_cast<std::size_t>(part.sequence)] < 0) continue;
    if (Status moved = MoveToSlot(part.sequence); !moved) return moved;
  }
  return {};
}

void Context::UseThreads(int threads) {
  slots_->UseThreads(threads);
  if (lanes_) lanes_->UseThreads(threads);
}

std::span<float> Context::Logits(int part) {
  const Place& place = places_[static_cast<std::size_t>(part)];
  return (place.in_lane ? lanes_ : slots_)->Logits(place.part);
}

std::vector<float> Context::Embedding(int part) {
  return slots_->Embedding(places_[static_cast<std::size_t>(part)].part);
}

Status Context::MoveToSlot(int sequence) {
  const int lane = std::exchange(lane_of_[static_cast<std::size_t>(sequence)], -1);
  auto state = lanes_->Read(lane);
  if (!state) return Fail(state.error());
  moved_.clear();
  AppendCells(*state, 0, state->cells, moved_);
  const CellPiece piece{moved_, state->cells, state->cells};
  Status written = slots_->Write(sequence, *shape_, {&piece, 1});
  lanes_->Truncate(lane, 0);
  return written;
}

void Context::Truncate(int sequence, int length) {
  int& lane = lane_of_[static_cast<std::size_t>(sequence)];
  if (lane < 0) return slots_->Truncate(sequence, length);
  lanes_->Truncate(lane, length);
  slots_->Truncate(sequence, 0);
  if (length == 0) lane = -1;
}

void Context::Expect(int sequence, int prompt_tokens) {
  const bool has_cells = slots_->Length(sequence) > 0;
  // Cells that are there would have to move, and move back.
  if (lanes_ == nullptr || prompt_tokens < (has_cells ? 4 : 1) * kLaneTokensMin) return;
  int free = 0;
  while (free < kLanesMax && std::ranges::find(lane_of_, free) != lane_of_.end()) ++free;
  if (free == std::min(kLanesMax, options_.sequences)) return;
  if (has_cells) {
    auto state = slots_->Read(sequence);
    if (!state) return;
    moved_.clear();
    AppendCells(*state, 0, state->cells, moved_);
    const CellPiece piece{moved_, state->cells, state->cells};
    if (!lanes_->Write(free, *shape_, {&piece, 1})) return;
    slots_->Truncate(sequence, 0);
  }
  lane_of_[static_cast<std::size_t>(sequence)] = free;
}

Status Context::SaveBlocks(int sequence, int first, int blocks, int count,
                           std::vector<std::uint8_t>& cells) {
  CHECK(copies(), "the context can copy cells");
  const int lane = lane_of_[static_cast<std::size_t>(sequence)];
  auto state = lane >= 0 ? lanes_->Read(lane) : slots_->Read(sequence);
  if (!state) return Fail(state.error());
  if (first + blocks * count > state->cells) {
    return Fail(Code::kInternal, "a sequence has fewer cells than it should");
  }
  for (int i = 0; i < blocks; ++i) AppendCells(*state, first + i * count, count, cells);
  return {};
}

Status Context::Restore(int sequence, std::span<const CellPiece> pieces) {
  CHECK(copies(), "the context can copy cells");
  Clear(sequence);
  return slots_->Write(sequence, *shape_, pieces);
}

}  // namespace penstock::engine
