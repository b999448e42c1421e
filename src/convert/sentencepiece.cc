#include "convert/sentencepiece.h"

#include <fmt/format.h>

#include <cstring>
#include <optional>

namespace penstock::convert {
namespace {

using Bytes = std::span<const std::uint8_t>;

enum class Wire : std::uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct Field {
  std::uint64_t number = 0;
  Wire wire = Wire::kVarint;
  std::uint64_t value = 0;  // Of kVarint, kFixed32 and kFixed64.
  Bytes bytes{};            // Of kBytes.
};

std::optional<std::uint64_t> TakeVarint(Bytes& rest) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
    const std::uint8_t byte = rest.front();
    rest = rest.subspan(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return std::nullopt;
}

std::optional<Bytes> TakeBytes(Bytes& rest, std::uint64_t size) {
  if (size > rest.size()) return std::nullopt;
  const Bytes taken = rest.first(static_cast<std::size_t>(size));
  rest = rest.subspan(taken.size());
  return taken;
}

template <typename Number>
bool TakeFixed(Bytes& rest, Field& field) {
  const auto bytes = TakeBytes(rest, sizeof(Number));
  if (!bytes) return false;
  Number number = 0;
  std::memcpy(&number, bytes->data(), sizeof number);
  field.value = number;
  return true;
}

std::optional<Field> TakeField(Bytes& rest) {
  const auto key = TakeVarint(rest);
  if (!key || *key >> 3 == 0) return std::nullopt;
  Field field{.number = *key >> 3, .wire = static_cast<Wire>(*key & 7)};
  switch (field.wire) {
    case Wire::kVarint: {
      const auto value = TakeVarint(rest);
      if (!value) return std::nullopt;
      field.value = *value;
      return field;
    }
    case Wire::kFixed64:
      return TakeFixed<std::uint64_t>(rest, field) ? std::optional(field) : std::nullopt;
    case Wire::kFixed32:
      return TakeFixed<std::uint32_t>(rest, field) ? std::optional(field) : std::nullopt;
    case Wire::kBytes: {
      const auto size = TakeVarint(rest);
      const auto bytes = size ? TakeBytes(rest, *size) : std::nullopt;
      if (!bytes) return std::nullopt;
      field.bytes = *bytes;
      return field;
    }
  }
  return std::nullopt;
}

// Calls `use` with each field of a message; false where it is damaged.
template <typename Use>
bool ForEachField(Bytes message, Use use) {
  while (!message.empty()) {
    const auto field = TakeField(message);
    if (!field) return false;
    use(*field);
  }
  return true;
}

bool ReadPiece(Bytes message, Piece& piece) {
  return ForEachField(message, [&piece](const Field& field) {
    if (field.number == 1 && field.wire == Wire::kBytes) {
      piece.text.assign(reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size());
    } else if (field.number == 2 && field.wire == Wire::kFixed32) {
      const auto bits = static_cast<std::uint32_t>(field.value);
      std::memcpy(&piece.score, &bits, sizeof bits);
    } else if (field.number == 3 && field.wire == Wire::kVarint && field.value >= 1 &&
               field.value <= 6) {
      piece.type = static_cast<TokenType>(field.value);
    }
  });
}

}  // namespace

Result<SentencePieceModel> ParseSentencePiece(Bytes file) {
  SentencePieceModel model;
  bool sound = true;
  const auto read = [&](const Field& field) {
    if (field.wire != Wire::kBytes) return;
    if (field.number == 1) {
      Piece piece;
      sound = sound && model.pieces.size() < kPiecesMax && ReadPiece(field.bytes, piece);
      model.pieces.push_back(std::move(piece));
    } else if (field.number == 2) {
      constexpr std::uint64_t kBytePairs = 2;
      sound = sound && ForEachField(field.bytes, [&model](const Field& inner) {
                if (inner.number == 3) model.byte_pairs = inner.value == kBytePairs;
              });
    } else if (field.number == 3) {
      sound = sound && ForEachField(field.bytes, [&model](const Field& inner) {
                if (inner.number == 3) model.dummy_prefix = inner.value != 0;
              });
    }
  };
  sound = ForEachField(file, read) && sound;
  if (!sound || model.pieces.empty()) {
    return Fail(Code::kCorrupt, "tokenizer.model is not a SentencePiece model, or it is cut off");
  }
  return model;
}

}  // namespace penstock::convert
