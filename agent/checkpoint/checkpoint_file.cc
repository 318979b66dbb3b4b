#include "agent/checkpoint/checkpoint_file.h"
