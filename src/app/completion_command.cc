// penstock completion: a shell's completion, generated from the same table as --help.
#include <memory>
#include <string>

#include <fmt/format.h>

#include "app/command.h"
#include "app/flags.h"

namespace penstock::app {

namespace {

// Subcommands and long flags of `command`, blanks between.
std::string WordsOf(const CLI::App& command) {
  std::string words;
  const auto add = [&words](const std::string& word) {
    if (!words.empty()) words += ' ';
    words += word;
  };
  for (const CLI::App* sub : command.get_subcommands({})) add(sub->get_name());
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) add("--" + name);
  }
  return words;
}

// One `case` arm for each command, the whole path in front.
void AppendArms(const CLI::App& command, const std::string& path, std::string& out) {
  out += fmt::format("    \"{}\") words=\"{}\" ;;\n", path, WordsOf(command));
  for (const CLI::App* sub : command.get_subcommands({})) {
    AppendArms(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), out);
  }
}

// All paths of commands, one a line, for finding where the cursor is.
void AppendPaths(const CLI::App& command, const std::string& path, std::string& out) {
  for (const CLI::App* sub : command.get_subcommands({})) {
    const std::string longer = path.empty() ? sub->get_name() : path + " " + sub->get_name();
    out += fmt::format("    \"{}\") at=\"{}\" ;;\n", longer, longer);
    AppendPaths(*sub, longer, out);
  }
}

std::string Script(const CLI::App& root, bool zsh) {
  std::string paths;
  std::string arms;
  AppendPaths(root, "", paths);
  AppendArms(root, "", arms);
  std::string script = zsh ? "#compdef penstock\nautoload -Uz bashcompinit && bashcompinit\n" : "";
  script += fmt::format(R"(# Completion of penstock; made by: penstock completion {}
_penstock() {{
  local at="" word words i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="${{COMP_WORDS[i]}}"
    [[ $word == -* ]] && continue
    case "${{at:+$at }}$word" in
{}    esac
  done
  case "$at" in
{}  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _penstock penstock
)",
                        zsh ? "zsh" : "bash", paths, arms);
  return script;
}

}  // namespace

void AddCompletionCommand(Program& program) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command =
      program.Add("completion", "Print a completion script: source <(penstock completion bash)",
                  [&program, shell] {
                    fmt::print("{}", Script(program.app(), *shell == "zsh"));
                    return kExitGood;
                  });
  command->add_option("shell", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
}

}  // namespace penstock::app
