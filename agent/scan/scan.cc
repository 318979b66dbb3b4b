#include "agent/scan/scan.h"
