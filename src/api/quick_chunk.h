// The short way to what ReadChunk() finds; for the files of this folder only.
#pragma once

#include <string_view>

#include "api/chunk_reader.h"

namespace penstock::internal {

// Fills `found` but for the chunk's kind and size, as the full parser would. False: it is none of
// the plain kind (see QuickJson), and `found` may hold anything.
bool QuickReadChunk(std::string_view data, ChunkFindings& found);

}  // namespace penstock::internal
