// What the slots do, as JSON and as a page. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace penstock::engine {

// `{"model", "queued", "step", "prefix_cache", "slots": [...]}`.
void AppendSlots(std::string& out, std::string_view model, const EngineMetrics& metrics,
                 std::span<const SlotState> slots);

// The same for people: HTML that loads itself anew every second, without script.
void AppendSlotsPage(std::string& out, std::string_view model, const EngineMetrics& metrics,
                     std::span<const SlotState> slots);

}  // namespace penstock::engine
