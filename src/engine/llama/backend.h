// The process's one llama.cpp: its log, and the backends that fit this machine.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/llama/placement.h"

namespace penstock::engine {

// Loads the backends once; later calls return the first answer. Thread-safe. Fails (kUnavailable)
// naming the directories searched when no CPU backend is found.
Status StartBackend();

// The GPUs that the loaded backends can compute on, with the memory that is free now. REQUIRES:
// StartBackend() succeeded.
std::vector<GpuDevice> GpuDevices();

// "v0.5.0", the release that was pinned; or "... (installed)".
std::string_view LlamaVersion();

// Where the vocabularies for synthetic models lie: beside an installed program, else in the build
// tree.
std::string VocabularyDirectory();

}  // namespace penstock::engine
