"""What a person of the development stack may see of their own calls: the audit record, the SQL, the filter."""
