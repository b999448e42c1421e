// penstock model: makes synthetic models, and gathers what models can be done with.
#include <memory>

#include <fmt/format.h>

#include "app/bench_stop.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/model_commands.h"
#include "base/file.h"
#include "engine/llama/synth.h"

namespace penstock::app {

namespace {

constexpr std::size_t kChatTemplateBytesMax = std::size_t{1} << 20;

struct SynthOptions {
  std::string size = "15m";
  std::string output;
  std::string quantization;
  std::string vocabulary;
  std::string chat_template_file;
  std::uint64_t seed = 1;
};

Status Synthesize(const SynthOptions& options) {
  auto spec = engine::SynthPreset(options.size);
  if (!spec) return Fail(spec.error());
  if (!options.quantization.empty()) {
    const auto quantization = engine::QuantizationFromName(options.quantization);
    if (!quantization) return Fail(quantization.error());
    spec->quantization = *quantization;
  }
  if (!options.vocabulary.empty()) spec->vocabulary = options.vocabulary;
  if (!options.chat_template_file.empty()) {
    auto text = ReadSmallFile(options.chat_template_file, kChatTemplateBytesMax);
    if (!text) return Fail(std::move(text.error()));
    spec->chat_template = std::move(*text);
  }
  spec->seed = options.seed;
  fmt::print(stderr, "writing {} ...\n", options.output);
  const auto report = engine::SynthesizeModel(*spec, options.output, &StopOnSignal());
  if (!report && report.error().code == Code::kCancelled) {
    return Fail(Code::kCancelled, report.error().message, kAnswered);
  }
  if (!report) return Fail(report.error());
  fmt::print(stderr, "{}: {} parameters, {:.1f} MB. Its text is noise; its speed is real.\n",
             options.output, report->parameters, static_cast<double>(report->bytes) / 1e6);
  return {};
}

std::string PresetList() {
  std::string list;
  for (const std::string_view name : engine::SynthPresetNames()) {
    if (!list.empty()) list += ", ";
    list += name;
  }
  return list;
}

void AddSynth(Program& program, CLI::App* group) {
  auto options = std::make_shared<SynthOptions>();
  CLI::App* synth = program.Add(
      "synth",
      "Write a GGUF with seeded random weights and a real vocabulary: for "
      "machines where no model can be had. Its text is noise, its speed real",
      [options] {
        const Status made = Synthesize(*options);
        return made ? kExitGood : Report(made.error());
      },
      group);
  AddFlag(*synth, "--size", options->size, "Architecture and size: " + PresetList());
  AddFlag(*synth, "--output", options->output, "File to write")->required();
  AddFlag(*synth, "--quantization", options->quantization,
          "f32, f16, q8_0 or q4_0; else the size's own");
  AddFlag(*synth, "--vocabulary", options->vocabulary,
          "llama-spm, llama-bpe, qwen2, gpt-2, bert-bge, bytes or bytes-chat; else the size's own");
  AddFlag(*synth, "--chat-template-file", options->chat_template_file,
          "A Jinja chat template to write into the model");
  AddFlag(*synth, "--seed", options->seed, "Equal seeds give equal files");
}

}  // namespace

void AddModelCommand(Program& program) {
  CLI::App* group =
      program.AddGroup("model", "Make, convert, pull, register, show and calibrate models");
  AddSynth(program, group);
  AddModelCatalogCommands(program, group);
  AddModelWorkCommands(program, group);
}

}  // namespace penstock::app
