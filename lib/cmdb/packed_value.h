// Values of records in few bytes: what many records have in common is held once, in a skeleton, and a value
// is the skeleton's number and what fills its holes. Any bytes come back as they were.
#ifndef FASTCONTAINER_LIB_CMDB_PACKED_VALUE_H_
#define FASTCONTAINER_LIB_CMDB_PACKED_VALUE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace fastcontainer {

// Strings that are held once each, for as long as somebody holds their number.
class StringTable {
 public:
  uint32_t Add(std::string_view text);  // never 0
  void Release(uint32_t number);
  std::string_view Get(uint32_t number) const { return strings_[number - 1].text; }
  size_t size() const { return numbers_.size(); }

 private:
  struct Held {
    std::string text;
    uint32_t holders = 0;
  };
  std::deque<Held> strings_;  // their addresses stay
  std::vector<uint32_t> free_;
  absl::flat_hash_map<absl::string_view, uint32_t> numbers_;
};

// What becomes of the strings of a JSON value. Numbers, and 32 hex digits, are holes always; so is the name
// that the value belongs to.
enum class Strings : uint8_t {
  kShared,  // part of the skeleton: specs, of which many are equal
  kInline,  // each in its own value: the containers of keys
  kEach,    // each shared by itself: hosts and routers in placements
};

void PutVarint(uint64_t number, std::string* out);
// Takes it off `in`.
uint64_t TakeVarint(std::string_view* in);

std::string PackValue(std::string_view value, std::string_view name, Strings strings, StringTable& table);
std::string UnpackValue(std::string_view packed, std::string_view name, const StringTable& table);
// A packed value that is thrown away lets go of what it shares.
void ReleaseValue(std::string_view packed, StringTable& table);

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_PACKED_VALUE_H_
