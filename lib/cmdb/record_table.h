// The records below one prefix, in as few bytes as can be: sorted, in blocks of a page or less, the names
// front-coded and the values packed (packed_value.h). A look-up is a binary search and a walk through one
// block.
#ifndef FASTCONTAINER_LIB_CMDB_RECORD_TABLE_H_
#define FASTCONTAINER_LIB_CMDB_RECORD_TABLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "fastcontainer/cmdb.h"
#include "lib/cmdb/packed_value.h"

namespace fastcontainer {

class RecordTable {
 public:
  struct State {
    uint64_t revision = 0;
    bool seeded = false;  // by a snapshot, whose revisions the store may not have any more
  };
  // Every key starts with `prefix`. Tables may share their strings.
  RecordTable(std::string prefix, std::shared_ptr<StringTable> strings);
  ~RecordTable() { Clear(); }
  RecordTable(RecordTable&& other) noexcept = default;
  RecordTable& operator=(RecordTable&& other) noexcept;

  // An empty one of the same prefix and strings.
  RecordTable Fresh() const { return RecordTable(prefix_, strings_); }

  std::optional<Record> Find(std::string_view key) const;
  std::optional<State> StateOf(std::string_view key) const;
  // Adds or replaces. In ascending order it is fastest, and the blocks become full.
  void Put(const Record& record, bool seeded);
  bool Erase(std::string_view key);
  // Ascending by key; `visit` must not change the table.
  void ForEach(absl::FunctionRef<void(const Record&, bool seeded)> visit) const;
  // At least `count` of those above `after`, if there are so many; returns where to go on, "" at the end.
  std::string ForSome(std::string_view after, size_t count,
                      absl::FunctionRef<void(const Record&)> visit) const;
  size_t size() const { return size_; }

 private:
  // A record without its prefix, as it stands in a block.
  struct Entry {
    std::string name;
    State state;
    std::string packed;
  };
  // Walks through a block.
  struct Reader {
    std::string_view rest;
    std::string name;
    State state;
    std::string_view packed;
    bool Next();
  };

  size_t BlockOf(std::string_view name) const;
  bool Seek(std::string_view key, Reader* reader) const;
  Record Unpack(const Reader& reader) const;
  void Append(Entry entry);
  void Rewrite(size_t block, const std::vector<Entry>& entries);
  std::vector<Entry> Read(size_t block) const;
  void Clear();

  std::string prefix_;
  std::shared_ptr<StringTable> strings_;
  Strings packing_;
  std::vector<std::string> blocks_;  // none is empty
  std::string last_;                 // the greatest name
  size_t size_ = 0;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_CMDB_RECORD_TABLE_H_
