#include "lib/cmdb/packed_value.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "lib/base/strings.h"

namespace fastcontainer {
namespace {

// Holes of a skeleton. JSON has no such bytes; a value that has them is kept as it is.
constexpr char kNumber = '\x01';
constexpr char kHex = '\x02';  // 32 digits, an `op`
constexpr char kName = '\x03';
constexpr char kText = '\x04';
constexpr char kHeld = '\x05';
constexpr size_t kHexDigits = 32;
constexpr size_t kMostDigits = 18;   // what surely fits 64 bits
constexpr size_t kShortestName = 3;  // one that is shorter is found in too many places
constexpr size_t kLongestVarint = 10;
constexpr uint32_t kNoSkeleton = 0;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || (c >= 'a' && c <= 'f'); }

// How many bytes at the beginning of `text` are a number that prints again as it stands; 0: none.
size_t DigitsOf(std::string_view text) {
  if (text.empty() || !IsDigit(text[0]) || text[0] == '0') return 0;
  const auto end = std::find_if_not(text.begin(), text.end(), IsDigit);
  return std::min(static_cast<size_t>(end - text.begin()), kMostDigits);
}

bool BeginsWithHex(std::string_view text) {
  return text.size() >= kHexDigits && std::all_of(text.begin(), text.begin() + kHexDigits, IsHex) &&
         (text.size() == kHexDigits || !IsHex(text[kHexDigits]));
}

// Without a branch, for the compiler to take many bytes at a time.
bool HasHoles(std::string_view value) {
  uint8_t found = 0;
  for (const char c : value)
    found |= static_cast<uint8_t>(static_cast<uint8_t>(c - kNumber) <= kHeld - kNumber);
  return found != 0;
}

// The position of the quote that ends the string which begins at `begin`; npos: there is none.
size_t EndOfString(std::string_view value, size_t begin) {
  for (size_t i = begin + 1; i < value.size(); ++i) {
    if (value[i] == '\\') {
      ++i;
    } else if (value[i] == '"') {
      return i;
    }
  }
  return std::string_view::npos;
}

class Packer {
 public:
  Packer(std::string_view value, std::string_view name, Strings strings, StringTable& table)
      : value_(value), name_(name), strings_(strings), table_(table) {
    skeleton_.reserve(value.size());
    holes_.reserve(value.size());
  }

  std::string Pack() {
    while (at_ < value_.size()) Step();
    std::string packed;
    packed.reserve(kLongestVarint + holes_.size());
    PutVarint(table_.Add(skeleton_), &packed);
    return packed.append(holes_);
  }

 private:
  void Step() {
    if (value_[at_] == '"' && strings_ != Strings::kShared && PackString()) return;
    if (!PackToken(value_.size())) skeleton_ += value_[at_++];
  }

  // A name, a number or hex digits that begin here and end before `end`.
  bool PackToken(size_t end) {
    const char first = value_[at_];
    const bool may_be_name = name_.size() >= kShortestName && first == name_[0];
    if (!may_be_name && !IsHex(first)) return false;
    const std::string_view rest = value_.substr(at_, end - at_);
    if (may_be_name && rest.substr(0, name_.size()) == name_) {
      skeleton_ += kName;
      at_ += name_.size();
      return true;
    }
    const bool inside = at_ > 0 && IsHex(value_[at_ - 1]);
    if (!inside && BeginsWithHex(rest)) {
      skeleton_ += kHex;
      holes_ += absl::HexStringToBytes(Sv(rest.substr(0, kHexDigits)));
      at_ += kHexDigits;
      return true;
    }
    const size_t digits = DigitsOf(rest);
    if (digits == 0) return false;
    uint64_t number = 0;
    std::from_chars(rest.data(), rest.data() + digits, number);
    skeleton_ += kNumber;
    PutVarint(number, &holes_);
    at_ += digits;
    return true;
  }

  bool PackString() {
    const size_t end = EndOfString(value_, at_);
    if (end == std::string_view::npos) return false;
    if (end + 1 < value_.size() && value_[end + 1] == ':') {  // a field's name
      skeleton_ += value_.substr(at_, end + 1 - at_);
      at_ = end + 1;
      return true;
    }
    const std::string_view text = value_.substr(at_ + 1, end - at_ - 1);
    skeleton_ += '"';
    ++at_;
    const bool token =
        text == name_ || text.size() == DigitsOf(text) || (text.size() == kHexDigits && BeginsWithHex(text));
    if (text.empty() || !token || !PackToken(end)) {
      skeleton_ += strings_ == Strings::kInline ? kText : kHeld;
      PutVarint(strings_ == Strings::kInline ? text.size() : table_.Add(text), &holes_);
      if (strings_ == Strings::kInline) holes_ += text;
    }
    skeleton_ += '"';
    at_ = end + 1;
    return true;
  }

  const std::string_view value_;
  const std::string_view name_;
  const Strings strings_;
  StringTable& table_;
  size_t at_ = 0;
  std::string skeleton_;
  std::string holes_;
};

}  // namespace

uint32_t StringTable::Add(std::string_view text) {
  if (const auto found = numbers_.find(Sv(text)); found != numbers_.end()) {
    ++strings_[found->second - 1].holders;
    return found->second;
  }
  if (free_.empty()) {
    strings_.emplace_back();
    free_.push_back(static_cast<uint32_t>(strings_.size()));
  }
  const uint32_t number = free_.back();
  free_.pop_back();
  Held& held = strings_[number - 1];
  held.text = std::string(text);
  held.holders = 1;
  numbers_.emplace(held.text, number);
  return number;
}

void StringTable::Release(uint32_t number) {
  Held& held = strings_[number - 1];
  if (--held.holders > 0) return;
  numbers_.erase(held.text);
  held.text = std::string();
  free_.push_back(number);
}

void PutVarint(uint64_t number, std::string* out) {
  while (number >= 0x80) {
    out->push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  out->push_back(static_cast<char>(number));
}

uint64_t TakeVarint(std::string_view* in) {
  uint64_t number = 0;
  for (unsigned shift = 0; !in->empty() && shift < 64; shift += 7) {
    const auto byte = static_cast<uint8_t>(in->front());
    in->remove_prefix(1);
    number |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return number;
}

std::string PackValue(std::string_view value, std::string_view name, Strings strings, StringTable& table) {
  if (!HasHoles(value)) return Packer(value, name, strings, table).Pack();
  std::string packed;
  PutVarint(kNoSkeleton, &packed);
  return packed.append(value);
}

std::string UnpackValue(std::string_view packed, std::string_view name, const StringTable& table) {
  const auto number = static_cast<uint32_t>(TakeVarint(&packed));
  if (number == kNoSkeleton) return std::string(packed);
  std::string value;
  for (const char c : table.Get(number)) {
    switch (c) {
      case kNumber:
        absl::StrAppend(&value, TakeVarint(&packed));
        break;
      case kHex:
        value += absl::BytesToHexString(Sv(packed.substr(0, kHexDigits / 2)));
        packed.remove_prefix(kHexDigits / 2);
        break;
      case kName:
        value += name;
        break;
      case kText: {
        const size_t size = TakeVarint(&packed);
        value += packed.substr(0, size);
        packed.remove_prefix(size);
        break;
      }
      case kHeld:
        value += table.Get(static_cast<uint32_t>(TakeVarint(&packed)));
        break;
      default:
        value += c;
    }
  }
  return value;
}

void ReleaseValue(std::string_view packed, StringTable& table) {
  const auto number = static_cast<uint32_t>(TakeVarint(&packed));
  if (number == kNoSkeleton) return;
  for (const char c : table.Get(number)) {
    if (c == kNumber) TakeVarint(&packed);
    if (c == kHex) packed.remove_prefix(kHexDigits / 2);
    if (c == kText) packed.remove_prefix(TakeVarint(&packed));
    if (c == kHeld) table.Release(static_cast<uint32_t>(TakeVarint(&packed)));
  }
  table.Release(number);
}

}  // namespace fastcontainer
