"""What every door uses to read data from outside: strict JSON, faults with JSON pointers, marshmallow fields."""
