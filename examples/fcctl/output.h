// What fcctl prints: rows, as an aligned table or as JSON, one object a line.
#ifndef FASTCONTAINER_EXAMPLES_FCCTL_OUTPUT_H_
#define FASTCONTAINER_EXAMPLES_FCCTL_OUTPUT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

class Output {
 public:
  Output(bool json, std::vector<std::string> columns) : json_(json), columns_(std::move(columns)) {}

  // One row: an object with (some of) the columns.
  void Add(nlohmann::ordered_json row);
  // JSON rows are printed at once; the table when its widths are known.
  void Flush();

 private:
  bool json_;
  std::vector<std::string> columns_;
  std::vector<nlohmann::ordered_json> rows_;
};

#endif  // FASTCONTAINER_EXAMPLES_FCCTL_OUTPUT_H_
