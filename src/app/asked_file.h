// A file that a flag may ask for.
#pragma once

#include <concepts>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace penstock::app {

// Writes what `render` gives to `path`; on disk when it returns. Where no path was asked for,
// nothing is rendered either.
Status WriteWhereAsked(const std::string& path, std::invocable auto render) {
  return path.empty() ? Status() : WriteFileDurably(path, render(), 0644);
}

}  // namespace penstock::app
