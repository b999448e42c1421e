// Our own kernels in llama.cpp's place, where they are faster: see q8_matmul.h.
#pragma once

#include <cstdint>

namespace penstock::engine {

// Puts the kernels in, for the life of the process. Call it once the CPU backend is loaded, before
// a model computes. False, and nothing changes, where the processor lacks the instructions or
// llama.cpp is not the release whose calls we know.
bool UseOwnKernels(bool wanted);

// Products that the kernels have computed. Thread-safe.
std::uint64_t OwnKernelCalls();

}  // namespace penstock::engine
