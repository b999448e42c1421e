// Our own kernels in llama.cpp's place, where they are faster: see q8_matmul.h and
// attention_kernel.h.
#pragma once

#include <cstdint>

namespace penstock::engine {

// Puts the kernels in, for the life of the process. Call it once the CPU backend is loaded, before
// a model computes. False, and nothing changes, where the processor lacks the instructions or
// llama.cpp is not the release whose calls we know.
bool UseOwnKernels(bool wanted);

// What the kernels have computed.
struct OwnKernelUse {
  std::uint64_t products = 0;    // Of matrices in Q8_0.
  std::uint64_t attentions = 0;  // Of layers.
};
OwnKernelUse OwnKernelCalls();  // Thread-safe.

}  // namespace penstock::engine
