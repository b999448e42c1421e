#include "control/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace penstock::control {
namespace {

bool IsNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool IsWord(std::string_view text, std::size_t size_max) {
  return !text.empty() && text.size() <= size_max && std::ranges::all_of(text, IsNameCharacter);
}

// What a message quotes of a value that may be anything: bounded and printable.
std::string Quoted(std::string_view text) {
  constexpr std::size_t kQuotedMax = 100;
  std::string quoted(text.substr(0, kQuotedMax));
  std::ranges::replace_if(quoted, [](char c) { return c < ' ' || c > '~'; }, '?');
  return fmt::format("\"{}\"{}", quoted, text.size() > kQuotedMax ? "…" : "");
}

// The words that stand where REST paths have an endpoint's name.
Status CheckNotReserved(std::string_view name, const std::string& field) {
  constexpr std::array<std::string_view, 2> kReserved = {"pt", "get-model-optimization-info"};
  if (std::ranges::find(kReserved, name) == kReserved.end()) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must not be \"{}\": the REST paths use this word", field, name),
              field);
}

}  // namespace

Status CheckEndpointName(std::string_view name, const std::string& field) {
  if (!IsWord(name, kEndpointNameSizeMax)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must be 1 to {} letters, digits, '-' and '_', got {} ({} bytes)",
                            field, kEndpointNameSizeMax, Quoted(name), name.size()),
                field);
  }
  return CheckNotReserved(name, field);
}

Status CheckDeploymentName(std::string_view name, const std::string& field) {
  const bool characters =
      std::ranges::all_of(name, [](char c) { return IsNameCharacter(c) || c == '.'; });
  if (!characters || name.empty() || name.size() > kDeploymentNameSizeMax || name.front() == '.' ||
      name.back() == '.') {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must be 1 to {} letters, digits, '-', '_' and '.', with no dot at "
                            "either end, got {} ({} bytes)",
                            field, kDeploymentNameSizeMax, Quoted(name), name.size()),
                field);
  }
  return CheckNotReserved(name, field);
}

Status CheckServedEntityName(std::string_view name, const std::string& field) {
  constexpr std::size_t kSizeMax = 2 * kModelNamePartSizeMax;
  const bool characters =
      std::ranges::all_of(name, [](char c) { return IsNameCharacter(c) || c == '.'; });
  if (characters && !name.empty() && name.size() <= kSizeMax) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be 1 to {} letters, digits, '-', '_' and '.', got {} ({} bytes)",
                          field, kSizeMax, Quoted(name), name.size()),
              field);
}

Status CheckAliasName(std::string_view name, const std::string& field) {
  const bool characters =
      std::ranges::all_of(name, [](char c) { return IsNameCharacter(c) || c == '.'; });
  const bool number = std::ranges::all_of(name, [](char c) { return c >= '0' && c <= '9'; });
  if (characters && !number && name.size() <= kModelNamePartSizeMax) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be 1 to {} letters, digits, '-', '_' and '.', and no number, "
                          "got {}",
                          field, kModelNamePartSizeMax, Quoted(name)),
              field);
}

Result<ModelName> ParseModelName(std::string_view full_name, const std::string& field) {
  std::array<std::string_view, 3> parts;
  std::string_view rest = full_name;
  bool good = true;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const std::size_t end = last ? rest.size() : rest.find('.');
    good =
        good && end != std::string_view::npos && IsWord(rest.substr(0, end), kModelNamePartSizeMax);
    if (!good) break;
    parts[i] = rest.substr(0, end);
    rest.remove_prefix(last ? end : end + 1);
  }
  if (!good) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must be catalog.schema.model, each of 1 to {} letters, digits, '-' "
                            "and '_', got {}",
                            field, kModelNamePartSizeMax, Quoted(full_name)),
                field);
  }
  return ModelName{std::string(parts[0]), std::string(parts[1]), std::string(parts[2])};
}

}  // namespace penstock::control
