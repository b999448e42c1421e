// Bench flags: those of `penstock bench` that shape the load, in groups as --help shows them.
#pragma once

#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "bench/drive/options.h"

namespace penstock::app {

// Flags in the units of the command line.
struct BenchFlags {
  int timeout_s = 600;
  double duration_s = 0;
  double warmup_s = -1;
  double cooldown_s = 0;
  double drain_s = 60;
  double stall_timeout_s = 60;
  std::string input_tokens;
  std::string output_tokens;
  std::string api_key_file;
  std::string tokenizer;
  int source_addresses = 0;
  double probe_max_s = 600;
  double search_max_s = 7200;
};

// Adds the flags. `bench` and `flags` outlive the command.
void AddTargetFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags);
void AddShapeFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags);
void AddContentFlags(CLI::App& command, bench::BenchOptions& bench, BenchFlags& flags);

// A key out of a file, which `flag` names. Errors: those of the file; kInvalidArgument where it is
// empty.
Result<std::string> ReadKeyFile(const std::string& path, std::string_view flag);

// Brings the flags into `bench`. Reads the key's file and the tokenizer's. Errors:
// kInvalidArgument naming the flag; those of the files.
Status ApplyFlags(const BenchFlags& flags, bench::BenchOptions& bench);

}  // namespace penstock::app
