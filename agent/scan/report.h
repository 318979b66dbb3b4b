// Prints what a scan found.

#ifndef MXTALLY_AGENT_SCAN_REPORT_H_
#define MXTALLY_AGENT_SCAN_REPORT_H_

#include <ostream>

#include "agent/scan/tally.h"

namespace mxtally {

// For people.
void PrintTable(const ScanReport& report, std::ostream& out);

// One JSON object; its keys are a contract.  Counts are numbers; a share whose
// denominator is 0 is null.
void PrintJson(const ScanReport& report, std::ostream& out);

// One number per line: direction, measure, label, value.
void PrintCsv(const ScanReport& report, std::ostream& out);

}  // namespace mxtally

#endif  // MXTALLY_AGENT_SCAN_REPORT_H_
